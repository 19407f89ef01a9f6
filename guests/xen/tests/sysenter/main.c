/* SYSENTER and SYSCALL of ring 3 lead nowhere but into a handler for a fault. */
#include "test.h"

static u32 USER_CODE enter(u32 argument) {
  __asm__ volatile("sysenter");
  return argument;
}
static u32 USER_CODE call(u32 argument) {
  __asm__ volatile("syscall" : : : "ecx");
  return argument;
}

void test_main(void) {
  setup();
  user_call(enter, 0);
  check(fault.vector == VECTOR_UD || fault.vector == VECTOR_GP, "SYSENTER ends with vector %u", fault.vector);
  check_equal("CS of SYSENTER's frame", fault.cs, USER_CS);
  user_call(call, 0);
  check(fault.vector == VECTOR_UD || fault.vector == VECTOR_GP, "SYSCALL ends with vector %u", fault.vector);
  check_equal("CS of SYSCALL's frame", fault.cs, USER_CS);
  TRY("sysexit", :);
  check(fault.vector == VECTOR_UD || fault.vector == VECTOR_GP, "SYSEXIT ends with vector %u", fault.vector);
}
