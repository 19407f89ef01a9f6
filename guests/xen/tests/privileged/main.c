/* Privileged instructions in ring 1: some are carried out or ignored, the others are the guest's #GP; ring 3 may none of them. */
#include "test.h"

static u8 pseudo[6];

#define REFUSED(instruction, ...)           \
  TRY(instruction, __VA_ARGS__);            \
  expect_fault(instruction, VECTOR_GP, 0)
#define DONE(instruction, ...)     \
  TRY(instruction, __VA_ARGS__);   \
  expect_no_fault(instruction)

static u32 USER_CODE user_clts(u32 argument) {
  __asm__ volatile("clts");
  return argument;
}
static u32 USER_CODE user_wbinvd(u32 argument) {
  __asm__ volatile("wbinvd");
  return argument;
}
static u32 USER_CODE user_hlt(u32 argument) {
  __asm__ volatile("hlt");
  return argument;
}
static u32 USER_CODE user_rdmsr(u32 argument) {
  __asm__ volatile("rdmsr" : : "c"(argument) : "eax", "edx");
  return argument;
}

void test_main(void) {
  setup();
  DONE("wbinvd", :);
  DONE("clts", :);
  REFUSED("hlt", :);
  REFUSED("lgdt %0", : : "m"(pseudo));
  REFUSED("lidt %0", : : "m"(pseudo));
  REFUSED("lldt %w0", : : "r"(0));
  REFUSED("ltr %w0", : : "r"(0));
  REFUSED("lmsw %w0", : : "r"(1));
  REFUSED("invlpg %0", : : "m"(pseudo));
  REFUSED("cli", :);
  REFUSED("sti", :);
  TRY("pushfl; popl %%eax; pushl $2; popfl; pushfl; popl %%edx", : : : "eax", "edx");
  expect_no_fault("POPF without IF");
  check_equal("IF after it", read_eflags() & EFLAGS_IF, EFLAGS_IF);
  static u32 (*const functions[])(u32) = {user_clts, user_wbinvd, user_hlt, user_rdmsr};
  for (u32 i = 0; i < COUNT_OF(functions); i++) {
    user_call(functions[i], 0x10);
    expect_fault("at ring 3", VECTOR_GP, 0);
  }
}
