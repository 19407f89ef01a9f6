/*
 * The window around the guest's iret, in which no interrupt may come, is open to NMIs: they arrive there, also while an interrupt
 * is held off by it, and every trap still returns with its registers and its flag. The Host sends one every 1,009 instructions.
 */
#include "test.h"

#define TRAPS 20000

static u32 breakpoints, nmis, in_window, bad_irqs;

static int is_window(u32 eip) {
#ifdef LGUEST_PCI
  return eip == (u32)noirq_iret;
#else
  return eip >= (u32)noirq_start && eip < (u32)noirq_end;
#endif
}

static void nmi(struct frame *frame) {
  nmis++;
  in_window += is_window(frame->eip);
}

static void hook(struct frame *frame) {
  if (frame->vector != VECTOR_BP)
    error("vector %u at %p", frame->vector, (void *)frame->eip);
  breakpoints++;
}

void test_main(void) {
  u32 last = 0;
  trap_hook = hook;
  nmi_hook = nmi;
  setup();
  lguest_data.blocked_interrupts = 0;
  interrupts_on();
  hcall1(LHCALL_SET_CLOCKEVENT, 500);
  for (u32 i = 0; i < TRAPS; i++) {
    u32 eax = i, ecx = ~i;
    __asm__ volatile("int3" : "+a"(eax), "+c"(ecx));
    if (eax != i || ecx != ~i)
      failure("a trap returned with other registers");
    if (!lguest_data.irq_enabled)
      failure("a trap returned with the flag off");
    if (irq_counts[0] != last) {
      last = irq_counts[0];
      bad_irqs += is_window(irq_eip[0]);
      hcall1(LHCALL_SET_CLOCKEVENT, 500 + i % 100);
    }
  }
  check_equal("breakpoints", breakpoints, TRAPS);
  check(nmis > 500, "only %u NMIs", nmis);
  check(in_window > 10, "only %u NMIs in the window", in_window);
  check_equal("interrupts in the window", bad_irqs, 0);
  check(last > 50, "only %u interrupts", last);
}
