/* lguest_data must not run past the end of the address space: address plus length wraps around. */
#include "test.h"

void test_main(void) {
  hcall1(LHCALL_LGUEST_INIT, 0xfffffff0);
  survived();
}
