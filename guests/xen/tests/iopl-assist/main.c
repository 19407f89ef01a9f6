/* With the assist for it the I/O privilege level is in the EFLAGS that frames show and that the iret call takes. */
#include "test.h"

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument;
}
static u32 USER_CODE user_out(u32 argument) {
  __asm__ volatile("outb %%al, $0x80" : : "a"(argument));
  return argument;
}

void test_main(void) {
  setup();
  check_answer("asking for it", vm_assist(VMASST_CMD_ENABLE, VMASST_TYPE_ARCHITECTURAL_IOPL), 0);
  for (u32 iopl = 0; iopl < 4; iopl++) {
    user_eflags = EFLAGS_FIXED | EFLAGS_IF | iopl << EFLAGS_IOPL_SHIFT;
    user_call(trap_here, 0);
    check_equal("IOPL in a frame", fault.eflags & EFLAGS_IOPL, iopl << EFLAGS_IOPL_SHIFT);
    check_equal("IOPL of the processor", fault.live_eflags & EFLAGS_IOPL, 0);
    user_call(user_out, 0);
    if (iopl == 3)
      expect_fault("OUT at ring 3", SYSCALL_VECTOR, 0);
    else
      expect_fault("OUT at ring 3", VECTOR_GP, 0);
    TRY("outb %%al, $0x80", : : "a"(0));
    expect_no_fault("OUT at ring 1, which counts as 0");
  }
}
