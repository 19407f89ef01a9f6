/* A trap from ring 1 stays on its stack and pushes EFLAGS, CS and EIP only; TF, RF and NT are clear in the handler. */
#include "test.h"

void test_main(void) {
  u32 before;
  setup();
  TRY("movl %%esp, %0; ud2", : "=m"(before));
  expect_fault("ud2", VECTOR_UD, 0);
  check_equal("the stack above the frame", fault.esp, before);
  check_equal("CS pushed", fault.cs & 0xffff, LGUEST_KERNEL_CS);
  TRY("pushfl; orl $0x4000, (%%esp); popfl; ud2", :);
  check_equal("NT pushed", fault.eflags & EFLAGS_NT, EFLAGS_NT);
  check_equal("TF, RF, NT, VM in the handler", fault.live_eflags & (EFLAGS_TF | EFLAGS_RF | EFLAGS_NT | EFLAGS_VM), 0);
}
