/* A stack for traps behind a null selector cannot be loaded, for the handler as little as for the failsafe callback. */
#include "test.h"

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument;
}

void test_main(void) {
  setup();
  check_answer("a null selector", stack_switch(0, (u32)trap_stack_top), 0);
  user_call(trap_here, 0);
  survived();
}
