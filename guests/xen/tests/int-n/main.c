/* INT n goes through the trap table: a gate's DPL decides for ring 3, an empty one is a fault with the vector in its error code. */
#include "test.h"

static u32 USER_CODE int20(u32 argument) {
  __asm__ volatile("int $0x20");
  return argument;
}
static u32 USER_CODE int21(u32 argument) {
  __asm__ volatile("int $0x21");
  return argument;
}
static u32 USER_CODE int90(u32 argument) {
  __asm__ volatile("int $0x90");
  return argument;
}
static u32 USER_CODE int82(u32 argument) {
  __asm__ volatile("int $0x82");
  return argument;
}
static u32 USER_CODE int3(u32 argument) {
  __asm__ volatile("int3");
  return argument;
}

void test_main(void) {
  setup();
  struct trap_info table[3] = {trap_entry(0x20, 3), trap_entry(0x21, 1)};
  set_trap_table(table);
  user_call(int20, 0);
  expect_fault("ring 3, DPL 3", 0x20, 0);
  check_equal("EIP is past the instruction", *(u16 *)(fault.eip - 2), 0x20cd);
  user_call(int21, 0);
  expect_fault("ring 3, DPL 1", VECTOR_GP, 0x21 << 3 | ERR_IDT);
  check_equal("EIP is at the instruction", *(u16 *)fault.eip, 0x21cd);
  user_call(int90, 0);
  expect_fault("ring 3, no gate", VECTOR_GP, 0x90 << 3 | ERR_IDT);
  user_call(int82, 0);
  expect_fault("ring 3, the hypercalls' vector", VECTOR_GP, TRAP_HYPERCALL << 3 | ERR_IDT);
  user_call(int3, 0);
  expect_fault("int3 at ring 3", VECTOR_BP, 0);
  TRY("int $0x21", :);
  expect_fault("ring 1, DPL 1", 0x21, 0);
  TRY("int $0x22", :);
  expect_fault("ring 1, DPL 0", VECTOR_GP, 0x22 << 3 | ERR_IDT);
  TRY("int $0x90", :);
  expect_fault("ring 1, no gate", VECTOR_GP, 0x90 << 3 | ERR_IDT);
}
