/* MOV to and from control registers in ring 1 is carried out, for the bits that are the guest's; others are #GP. */
#include "test.h"

#define READ(n)                                           \
  ({                                                      \
    u32 value;                                            \
    __asm__ volatile("movl %%cr" n ", %0" : "=r"(value)); \
    value;                                                \
  })

static u32 USER_CODE user_cr0(u32 argument) {
  __asm__ volatile("movl %%cr0, %0" : "=r"(argument));
  return argument;
}

void test_main(void) {
  setup();
  u32 cr0 = READ("0"), cr4 = READ("4");
  check_equal("PE and PG", cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
  check_equal("PAE", cr4 & CR4_PAE, CR4_PAE);
  TRY("movl %0, %%cr0", : : "r"(cr0));
  expect_no_fault("CR0 as it is");
  TRY("movl %0, %%cr0", : : "r"(cr0 & ~CR0_WP));
  expect_fault("CR0 without WP", VECTOR_GP, 0);
  TRY("movl %0, %%cr0", : : "r"(cr0 & ~CR0_PG));
  expect_fault("CR0 without PG", VECTOR_GP, 0);
  check_equal("CR0", READ("0"), cr0);
  TRY("movl %0, %%cr4", : : "r"(cr4 | CR4_TSD));
  expect_no_fault("CR4 with TSD");
  check_equal("TSD", READ("4") & CR4_TSD, CR4_TSD);
  TRY("movl %0, %%cr4", : : "r"(cr4 & ~CR4_PAE));
  check_equal("PAE stays", READ("4") & CR4_PAE, CR4_PAE);
  TRY("movl %0, %%cr4", : : "r"(cr4));
  TRY("movl %%cr1, %%eax", : : : "eax");
  check(fault.vector == VECTOR_GP || fault.vector == VECTOR_UD, "CR1 ends with vector %u", fault.vector);
  user_call(user_cr0, 0);
  expect_fault("a program's MOV", VECTOR_GP, 0);
}
