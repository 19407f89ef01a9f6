/* Which exceptions of ring 1 push an error code, and which one; the stub for each vector expects exactly that. */
#include "test.h"

static u32 bounds[2] = {5, 10};

void test_main(void) {
  setup();
  struct descriptor absent = descriptor(0, 0xfffff, 0x33, 0xc);
  hcall3(LHCALL_LOAD_GDT_ENTRY, 20, absent.low, absent.high);
  u32 zero = 0;
  TRY("divl %0", : : "r"(zero) : "eax", "edx");
  expect_fault("divide by zero", VECTOR_DE, 0);
  TRY("int3", :);
  expect_fault("int3", VECTOR_BP, 0);
  TRY("movl $0x7fffffff, %%eax; incl %%eax; into", : : : "eax");
  expect_fault("into", VECTOR_OF, 0);
  TRY("boundl %0, (%1)", : : "r"(11), "r"(bounds));
  expect_fault("bound", VECTOR_BR, 0);
  TRY("ud2", :);
  expect_fault("ud2", VECTOR_UD, 0);
  TRY("movw %w0, %%es", : : "r"(20 << 3 | 1));
  expect_fault("ES not present", VECTOR_NP, 20 << 3);
  TRY("movw %w0, %%ss", : : "r"(20 << 3 | 1));
  expect_fault("SS not present", VECTOR_SS, 20 << 3);
  TRY("movw %w0, %%es", : : "r"(0x1f8 | 1));
  expect_fault("ES outside the table", VECTOR_GP, 0x1f8);
  TRY("movw %w0, %%ss", : : "r"(0));
  expect_fault("SS null", VECTOR_GP, 0);
  TRY("hlt", :);
  expect_fault("hlt", VECTOR_GP, 0);
  TRY("movl 0x40000000, %%eax", : : : "eax");
  expect_page_fault("an unmapped address", 0x40000000, 0);
}
