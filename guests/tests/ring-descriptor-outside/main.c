/* A ring whose descriptor points outside the guest's memory, wrapping around, reaches nothing: the guest is ended by name. */
#include "device-page.h"
#include "test.h"

void test_main(void) {
  struct page_console console;
  setup();
  console_start(&console);
  console.out.desc[0].address = 0xfffffff0;
  console.out.desc[0].length = 0x100;
  console.out.desc[0].flags = 0;
  console.out.avail->ring[0] = 0;
  barrier();
  console.out.avail->index = 1;
  hcall1(LHCALL_NOTIFY, console.out_address);
  survived();
}
