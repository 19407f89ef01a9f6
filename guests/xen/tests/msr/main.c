/* RDMSR and WRMSR in ring 1: the registers a guest may know answer, and what it may not change, or what is none, is #GP. */
#include "test.h"

u64 value;

static int read_msr(u32 index) {
  TRY("rdmsr; movl %%eax, value; movl %%edx, value + 4", : : "c"(index) : "eax", "edx", "memory");
  return fault.vector == NO_FAULT;
}
static void write_msr(u32 index, u64 to) {
  TRY("wrmsr", : : "c"(index), "a"((u32)to), "d"((u32)(to >> 32)));
}

void test_main(void) {
  setup();
  check(read_msr(MSR_EFER), "EFER cannot be read");
  write_msr(MSR_EFER, value);
  expect_no_fault("EFER as it is");
  write_msr(MSR_EFER, value ^ 0x100);
  expect_fault("EFER with another mode", VECTOR_GP, 0);
  check(read_msr(MSR_PAT), "the PAT cannot be read");
  check(value == 0x050100070406ull, "the PAT is %llx", value);
  write_msr(MSR_PAT, 0x0007040600070406ull);
  expect_fault("another PAT", VECTOR_GP, 0);
  check(read_msr(MSR_TSC), "the counter cannot be read");
  check(!read_msr(0x12345678), "a register that is none has %llx", value);
  expect_fault("a register that is none", VECTOR_GP, 0);
  write_msr(0x12345678, 0);
  expect_fault("writing one that is none", VECTOR_GP, 0);
  check(!read_msr(0x40000000), "there is a register of HVM guests' with %llx", value);
}
