/* A trap of ring 1 stays on its stack: EIP, CS with the saved mask in the upper half, EFLAGS, and below them the error code. */
#include "test.h"

static u32 before;

void test_main(void) {
  setup();
  TRY("movl %%esp, %0; stc; ud2", : "=m"(before));
  expect_fault("ud2", VECTOR_UD, 0);
  check_equal("the end of the frame", fault.esp, before);
  check_equal("SS of the handler", fault.handler_ss, KERNEL_DS);
  check_equal("CS in the frame", fault.cs, KERNEL_CS);
  check_equal("CF in the frame", fault.eflags & EFLAGS_CF, EFLAGS_CF);
  check_equal("IOPL in the frame", fault.eflags & EFLAGS_IOPL, 0);
  check_equal("the frame begins with EIP", fault.frame, before - 12);
  TRY("movl %%esp, %0; movl 0x3fffffff, %%eax", : "=m"(before) : : "eax");
  expect_page_fault("with an error code", 0x3fffffff, 0);
  check_equal("its frame ends there too", fault.esp, before);
  /* NT and TF are in the frame, and clear in the handler. */
  TRY("pushfl; orl %0, (%%esp); popfl; ud2", : : "i"(EFLAGS_NT));
  __asm__ volatile("pushfl; andl %0, (%%esp); popfl" : : "i"(~EFLAGS_NT));
  check_equal("NT in the frame", fault.eflags & EFLAGS_NT, EFLAGS_NT);
  check_equal("NT in the handler", fault.live_eflags & EFLAGS_NT, 0);
}
