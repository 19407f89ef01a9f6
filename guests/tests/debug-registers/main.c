/* A guest kernel has no debug registers: reading and writing them are faults that it can handle. */
#include "test.h"

void test_main(void) {
  u32 value = 0;
  setup();
  TRY("movl %%dr0, %0", : "+r"(value));
  expect_fault("reading DR0", VECTOR_GP, 0);
  TRY("movl %%dr6, %0", : "+r"(value));
  expect_fault("reading DR6", VECTOR_GP, 0);
  TRY("movl %0, %%dr7", : "+r"(value));
  expect_fault("writing DR7", VECTOR_GP, 0);
}
