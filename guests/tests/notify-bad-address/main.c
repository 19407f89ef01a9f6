/* NOTIFY with an address outside the guest's memory kills. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall1(LHCALL_NOTIFY, 0xf0000000);
  survived();
}
