/* Announcing the features a second time without a reset is an error that kills. */
#include "test.h"
#include "device-page.h"

void test_main(void) {
  struct page_console console;
  setup();
  console_start(&console);
  hcall1(LHCALL_NOTIFY, console.device);
  survived();
}
