/* SET_STACK takes at most two pages. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_SET_STACK, KERNEL_DS, trap_stack_top, 3);
  survived();
}
