/* A trap from ring 3 arrives on the stack of stack_switch with SS and ESP pushed first. */
#include "test.h"

static u32 USER_DATA user_esp = 0;

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("movl %%esp, %0; stc; ud2" : "=m"(user_esp));
  return argument;
}

static u32 USER_CODE plus_one(u32 argument) { return argument + 1; }

void test_main(void) {
  setup();
  check_equal("a call to ring 3 and back", user_call(plus_one, 41), 42);
  user_call(trap_here, 0);
  expect_fault("ud2 at ring 3", VECTOR_UD, 0);
  check_equal("the end of the frame", fault.frame + 20, (u32)trap_stack_top);
  check_equal("ESP", fault.esp, user_esp);
  check_equal("SS", fault.ss & 0xffff, USER_DS);
  check_equal("CS", fault.cs, USER_CS);
  check_equal("CF and IF", fault.eflags & (EFLAGS_CF | EFLAGS_IF), EFLAGS_CF | EFLAGS_IF);
  check_equal("SS of the handler", fault.handler_ss, KERNEL_DS);
}
