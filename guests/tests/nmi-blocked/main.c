/*
 * During an NMI's handler no other comes; one waits, and is taken right behind the iret, before the interrupted code goes on.
 * The first iret ends the blocking, whoever's it is: also that of a trap inside the handler, and one that faults.
 * The Host sends one every 1,000 instructions.
 */
#include "test.h"

#define ROUNDS 30

extern char after_breakpoint[];

static enum { PLAIN, BREAKPOINT, BAD_IRET } mode;
static volatile u32 taken;
static volatile u32 depth, deepest;
static u32 long_ones, back_to_back, last_eip, nested_eip;

/* Long enough for the next one to come. */
static void dawdle(void) {
  for (volatile u32 i = 0; i < 500; i++)
    ;
}

/* To a null CS. */
static void bad_iret(void) {
  __asm__ volatile("movl $98f, recover_eip\n\t"
                   "pushl $2; pushl $0; pushl $0\n\t"
                   "iret\n"
                   "98:\taddl $12, %%esp"
                   : : : "memory", "cc");
}

static void nmi(struct frame *frame) {
  taken++;
  if (depth > 0) {
    deepest = depth + 1;
    nested_eip = frame->eip;
    return;
  }
  /* Every other one is long: the next one finds it running, and comes at once behind it. */
  if (taken % 2 == 0) {
    back_to_back += frame->eip == last_eip;
    return;
  }
  depth++;
  last_eip = frame->eip;
  long_ones++;
  dawdle();
  if (mode == BREAKPOINT)
    __asm__ volatile("int3\nafter_breakpoint:");
  else if (mode == BAD_IRET)
    bad_iret();
  depth--;
}

static void hook(struct frame *frame) {
  if (frame->vector == VECTOR_GP && recover_eip) {
    frame->eip = recover_eip;
    recover_eip = 0;
  } else if (frame->vector != VECTOR_BP) {
    error("vector %u at %p", frame->vector, (void *)frame->eip);
  }
}

void test_main(void) {
  trap_hook = hook;
  nmi_hook = nmi;
  setup();
  taken = long_ones = back_to_back = 0;
  while (taken < 2 * ROUNDS)
    ;
  check_equal("nested ones", deepest, 0);
  check(long_ones >= ROUNDS && back_to_back + 1 >= long_ones, "of %u, %u came right behind", long_ones, back_to_back);

  mode = BREAKPOINT;
  taken = deepest = 0;
  while (deepest == 0 || depth > 0)
    ;
  check_equal("EIP of one nested behind a breakpoint", nested_eip, (u32)after_breakpoint);
  check_equal("depth", deepest, 2);

  mode = BAD_IRET;
  taken = deepest = 0;
  while (deepest == 0 || depth > 0)
    ;
  check_equal("EIP of one nested behind a bad iret", nested_eip, (u32)trap_stubs + 16 * VECTOR_GP);
  check_equal("depth", deepest, 2);
}
