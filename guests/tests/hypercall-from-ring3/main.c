/* The hypercall gate has DPL 1: int 0x1f at ring 3 is a general protection fault of the guest. */
#include "test.h"

static u32 USER_CODE call_host(u32 argument) {
  __asm__ volatile("int $0x1f" : : "a"(LHCALL_SHUTDOWN), "b"(argument), "c"(1));
  return 1;
}

void test_main(void) {
  setup();
  user_call(call_host, 0);
  expect_fault("int 0x1f at ring 3", VECTOR_GP, LGUEST_TRAP_ENTRY * 8 + ERR_IDT);
}
