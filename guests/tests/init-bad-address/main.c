/* lguest_data must lie in the guest's memory. */
#include "test.h"

void test_main(void) {
  hcall1(LHCALL_LGUEST_INIT, 0xf0000000);
  survived();
}
