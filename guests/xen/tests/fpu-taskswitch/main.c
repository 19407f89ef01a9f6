/* fpu_taskswitch sets the virtual CR0.TS: the next use of the FPU is #NM, which finds it clear again; CLTS clears it too. */
#include "test.h"

static u32 read_cr0(void) {
  u32 value;
  __asm__ volatile("movl %%cr0, %0" : "=r"(value));
  return value;
}

static u32 USER_CODE use_fpu(u32 argument) {
  __asm__ volatile("fnop");
  return argument;
}

void test_main(void) {
  setup();
  check_equal("TS at the start", read_cr0() & CR0_TS, 0);
  TRY("fninit", :);
  expect_no_fault("the FPU at the start");
  check_answer("set", hypercall1(HYPERVISOR_FPU_TASKSWITCH, 1), 0);
  check_equal("TS", read_cr0() & CR0_TS, CR0_TS);
  TRY("fnop", :);
  expect_fault("the FPU with TS", VECTOR_NM, 0);
  check_equal("TS after #NM", read_cr0() & CR0_TS, 0);
  TRY("fnop", :);
  expect_no_fault("the FPU after #NM");
  hypercall1(HYPERVISOR_FPU_TASKSWITCH, 1);
  check_answer("clear", hypercall1(HYPERVISOR_FPU_TASKSWITCH, 0), 0);
  TRY("fnop", :);
  expect_no_fault("the FPU after the call");
  hypercall1(HYPERVISOR_FPU_TASKSWITCH, 7);
  check_equal("TS by any number but 0", read_cr0() & CR0_TS, CR0_TS);
  TRY("clts", :);
  expect_no_fault("CLTS");
  check_equal("TS after CLTS", read_cr0() & CR0_TS, 0);
  hypercall1(HYPERVISOR_FPU_TASKSWITCH, 1);
  user_call(use_fpu, 0);
  expect_fault("the FPU of ring 3", VECTOR_NM, 0);
  TRY("movl %0, %%cr0", : : "r"(read_cr0() | CR0_TS));
  expect_no_fault("MOV to CR0 that sets TS");
  check_equal("TS by MOV", read_cr0() & CR0_TS, CR0_TS);
  TRY("movl %0, %%cr0", : : "r"(read_cr0() & ~CR0_TS));
  check_equal("TS by MOV", read_cr0() & CR0_TS, 0);
}
