/* TF raises #DB after the next instruction, with TF pushed as set, and the handler itself is not stepped. */
#include "test.h"

static u32 steps, first_eip;

static void hook(struct frame *frame) {
  if (frame->vector != VECTOR_DB)
    error("vector %u at %p", frame->vector, (void *)frame->eip);
  check_equal("TF pushed", frame->eflags & EFLAGS_TF, EFLAGS_TF);
  check_equal("TF in the handler", fault.live_eflags & EFLAGS_TF, 0);
  if (steps++ == 0)
    first_eip = frame->eip;
  if (steps == 3)
    frame->eflags &= ~EFLAGS_TF;
}

extern char after_first[];

void test_main(void) {
  u32 count = 0;
  setup();
  trap_hook = hook;
  __asm__ volatile("pushfl; orl $0x100, (%%esp); popfl\n\t"
                   "incl %0\n"
                   "after_first: incl %0; incl %0; incl %0; incl %0"
                   : "+r"(count));
  check_equal("instructions run", count, 5);
  check_equal("steps", steps, 3);
  check_equal("EIP of the first step", first_eip, (u32)after_first);
}
