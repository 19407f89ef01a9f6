/* Kicking a ring before the features are settled kills. */
#include "test.h"
#include "device-page.h"

void test_main(void) {
  struct page_console console;
  setup();
  console_find(&console);
  hcall1(LHCALL_NOTIFY, console.out_address);
  survived();
}
