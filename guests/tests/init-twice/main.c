/* A second LGUEST_INIT kills. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall1(LHCALL_LGUEST_INIT, &lguest_data);
  survived();
}
