/*
 * The periodic NMI comes every 1,000 instructions to the instruction, wherever that is: the time-stamp counter, one tick per
 * instruction here, is the same distance apart in every handler, at ring 1 and at ring 3.
 */
#include "test.h"

#define EVERY 1000
#define SAMPLES 200

static volatile u32 samples;
static u32 last, wrong;

static void hook(struct frame *frame) {
  u32 low;
  (void)frame;
  __asm__ volatile("rdtsc" : "=a"(low) : : "edx");
  wrong += samples > 0 && low - last != EVERY;
  last = low;
  samples++;
}

static u32 USER_CODE user_spin(u32 counter) {
  while (*(volatile u32 *)counter < 2 * SAMPLES)
    ;
  return 0;
}

void test_main(void) {
  nmi_hook = hook;
  setup();
  while (samples < SAMPLES)
    ;
  check_equal("NMIs off the beat at ring 1", wrong, 0);
  map(first_directory, (u32)&samples, (u32)&samples, USER_FLAGS);
  flush_tlb(1);
  user_call(user_spin, (u32)&samples);
  check_equal("NMIs off the beat", wrong, 0);
}
