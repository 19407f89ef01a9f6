/*
 * Interrupts that arrive all the time never split the guest's iret: none is delivered where the flag is already on but
 * the iret has not happened, and every trap returns to where it came from with its registers and its flag.
 */
#include "test.h"

#define TRAPS 20000

static u32 breakpoints, bad_window, random_state = 1;

static void hook(struct frame *frame) {
  if (frame->vector == VECTOR_BP)
    breakpoints++;
  else
    error("vector %u at %p", frame->vector, (void *)frame->eip);
}

/* Runs at every timer interrupt, by way of the counter that the loop below looks at. */
static void rearm(void) {
  random_state = random_state * 1103515245 + 12345;
  hcall1(LHCALL_SET_CLOCKEVENT, 100 + (random_state >> 16) % 3000);
}

void test_main(void) {
  setup();
  trap_hook = hook;
  lguest_data.blocked_interrupts = 0;
  interrupts_on();
  rearm();
  u32 last = 0;
  for (u32 i = 0; i < TRAPS; i++) {
    u32 eax = i, ecx = ~i;
    __asm__ volatile("int3" : "+a"(eax), "+c"(ecx));
    if (eax != i || ecx != ~i)
      failure("a trap returned with other registers");
    if (!lguest_data.irq_enabled)
      failure("a trap returned with the flag off");
    if (irq_counts[0] != last) {
      last = irq_counts[0];
#ifdef LGUEST_PCI
      bad_window += irq_eip[0] == (u32)noirq_iret;
#else
      bad_window += irq_eip[0] >= (u32)noirq_start && irq_eip[0] < (u32)noirq_end;
#endif
      rearm();
    }
  }
  check_equal("breakpoints", breakpoints, TRAPS);
  check_equal("interrupts inside the window", bad_window, 0);
  check(last > 100, "only %u interrupts came", last);
}
