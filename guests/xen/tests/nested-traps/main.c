/* A handler that faults itself gets its own frame below the first, on the same stack, also when the first came from ring 3. */
#include "test.h"

static u32 depth, frames[3], css[3];

static void dive(struct frame *frame) {
  frames[depth] = (u32)&frame->eip;
  css[depth] = frame->cs;
  if (++depth < 3)
    __asm__ volatile("ud2");
  frame->eip += 2;
  if (depth == 3)
    trap_hook = NULL;
}

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument + 1;
}

void test_main(void) {
  setup();
  trap_hook = dive;
  check_equal("the result", user_call(trap_here, 6), 7);
  check_equal("how deep it went", depth, 3);
  check_equal("the first frame", frames[0] + 20, (u32)trap_stack_top);
  check(frames[1] < frames[0] && frames[2] < frames[1] && frames[2] > (u32)trap_stack, "frames at %x, %x, %x", frames[0],
        frames[1], frames[2]);
  check_equal("CS of the first", css[0], USER_CS);
  check_equal("CS of the second", css[1], KERNEL_CS);
}
