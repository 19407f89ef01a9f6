/* Guests of the PCI variety have no NOTIFY: number 17 is unknown there. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall1(LHCALL_NOTIFY, "text");
  survived();
}
