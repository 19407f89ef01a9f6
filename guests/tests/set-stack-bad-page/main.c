/* The stack named by SET_STACK must be mapped writable at the time of the call. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_SET_STACK, KERNEL_DS, 0x40001000, 1);
  survived();
}
