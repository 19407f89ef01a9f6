/* A gate's DPL decides who may use int n: ring 3 gets a general protection fault from a gate with DPL 0 or none at all. */
#include "test.h"

static u32 USER_CODE int3(u32 argument) {
  __asm__ volatile("int3");
  return argument;
}

static u32 USER_CODE int30(u32 argument) {
  __asm__ volatile("int $0x30");
  return argument;
}

static u32 USER_CODE int90(u32 argument) {
  __asm__ volatile("int $0x90");
  return argument;
}

static u32 USER_CODE overflow(u32 argument) {
  __asm__ volatile("movl $0x7fffffff, %%eax; addl $1, %%eax; into" : : : "eax");
  return argument;
}

void test_main(void) {
  setup();
  user_call(int3, 0);
  expect_fault("int3 at ring 3, DPL 3", VECTOR_BP, 0);
  user_call(int30, 0);
  expect_fault("int 0x30 at ring 3, DPL 0", VECTOR_GP, 0x30 * 8 + ERR_IDT);
  user_call(int90, 0);
  expect_fault("int 0x90 at ring 3, no gate", VECTOR_GP, 0x90 * 8 + ERR_IDT);
  load_gate(VECTOR_BP, (u32)trap_stubs + 16 * VECTOR_BP, SYSDESC_INT_GATE32, 0);
  load_gate(VECTOR_OF, (u32)trap_stubs + 16 * VECTOR_OF, SYSDESC_INT_GATE32, 0);
  user_call(int3, 0);
  expect_fault("int3 at ring 3, DPL 0", VECTOR_GP, VECTOR_BP * 8 + ERR_IDT);
  user_call(overflow, 0);
  expect_fault("into at ring 3, DPL 0", VECTOR_GP, VECTOR_OF * 8 + ERR_IDT);
}
