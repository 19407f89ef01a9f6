/* iret to a segment that cannot be is a fault of the guest at the iret: a wrong privilege, a data segment, a null SS. */
#include "test.h"

#define TRY_IRET(cs, ss, eip)                                                                                       \
  TRY("movl %%esp, %%esi; pushl %1; pushl $0x100; pushl $2; pushl %0; pushl %2; movl %%esp, %%edi\n"                \
      "77: iret",                                                                                                   \
      : : "r"(cs), "r"(ss), "r"(eip) : "esi", "edi", "memory")

/* The frame that the faulting iret left behind is dropped by hand. */
#define DROP_FRAME __asm__ volatile("movl %%esi, %%esp" : : : "memory")

void test_main(void) {
  setup();
  u32 kept;
  __asm__ volatile("movl %%esp, %0" : "=m"(kept));
  TRY_IRET(0x60, 0x69, 0x100000);
  __asm__ volatile("movl %0, %%esp" : : "m"(kept) : "memory");
  expect_fault("CS with RPL 0", VECTOR_GP, 0x60);
  TRY_IRET(0x7b, 0x7b, 0x100000);
  __asm__ volatile("movl %0, %%esp" : : "m"(kept) : "memory");
  expect_fault("CS a data segment", VECTOR_GP, 0x78);
  TRY_IRET(0x73, 0, 0x100000);
  __asm__ volatile("movl %0, %%esp" : : "m"(kept) : "memory");
  expect_fault("SS null", VECTOR_GP, 0);
  TRY_IRET(0x73, 0x69, 0x100000);
  __asm__ volatile("movl %0, %%esp" : : "m"(kept) : "memory");
  expect_fault("SS of ring 1 for ring 3", VECTOR_GP, 0x68);
}
