/* A trap from ring 3 whose stack is not mapped has nowhere to go: the domain dies. */
#include "test.h"

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument;
}

void test_main(void) {
  setup();
  stack_switch(KERNEL_DS, FREE_LIN + 0x1000);
  user_call(trap_here, 0);
  survived();
}
