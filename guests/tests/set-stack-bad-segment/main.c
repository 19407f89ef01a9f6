/* SET_STACK wants a stack segment with RPL 1. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_SET_STACK, 0x68, trap_stack_top, 1);
  survived();
}
