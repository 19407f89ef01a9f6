/* Which exceptions of ring 1 push an error code, and which one; the stub for each vector expects exactly that. */
#include "test.h"

static u32 bounds[2] = {5, 10};
static u64 table[512] __attribute__((aligned(4096)));

void test_main(void) {
  setup();
  table[20] = descriptor(0, 0xfffff, 0x33, 0xc);
  set_access(table, READ_ONLY_FLAGS);
  u32 frame = mfn_of(table);
  check_answer("set_gdt", set_gdt(&frame, 32), 0);
  TRY("divl %0", : : "r"(0) : "eax", "edx");
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
  TRY("movw %w0, %%es", : : "r"(0x7000 | 1));
  expect_fault("ES outside the table", VECTOR_GP, 0x7000);
  TRY("movw %w0, %%ss", : : "r"(0));
  expect_fault("SS null", VECTOR_GP, 0);
  TRY("hlt", :);
  expect_fault("hlt", VECTOR_GP, 0);
  TRY("movl 0x40000000, %%eax", : : : "eax");
  expect_page_fault("an unmapped address", 0x40000000, 0);
}
