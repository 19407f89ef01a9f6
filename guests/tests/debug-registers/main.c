/*
 * A guest kernel may read the debug registers, as Linux 3.10 does in every oops, but writing them is a fault that it can
 * handle; ring 3 may do neither.
 */
#include "test.h"

static u32 USER_CODE read_dr6(u32 argument) {
  __asm__ volatile("movl %%dr6, %0" : "=r"(argument));
  return argument;
}

void test_main(void) {
  u32 value = 1;
  setup();
  TRY("movl %%dr0, %0", : "+r"(value));
  expect_no_fault("reading DR0");
  check_equal("DR0", value, 0);
  TRY("movl %%dr6, %0", : "+r"(value));
  expect_no_fault("reading DR6");
  TRY("movl %0, %%dr7", : "+r"(value));
  expect_fault("writing DR7", VECTOR_GP, 0);
  user_call(read_dr6, 0);
  expect_fault("reading DR6 at ring 3", VECTOR_GP, 0);
}
