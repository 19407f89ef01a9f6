/*
 * Between noirq_start and noirq_end no interrupt is delivered and irq_pending is left alone, however long the guest
 * stays there; it comes once the guest has left.
 */
#include "test.h"

extern char spin_start[], spin_end[];

void test_main(void) {
#ifndef LGUEST_PCI
  lguest_data.noirq_start = (u32)spin_start;
  lguest_data.noirq_end = (u32)spin_end;
#endif
  setup();
  lguest_data.blocked_interrupts = 0;
  lguest_data.irq_enabled = EFLAGS_IF;
  hcall1(LHCALL_SET_CLOCKEVENT, 5000);
  u32 rounds = 20000, inside, pending;
  __asm__ volatile("jmp spin_start\n"
                   "spin_start: decl %0\n\t"
                   "jnz spin_start\n\t"
                   "movl irq_counts, %1\n\t"
                   "movl %3, %2\n"
                   "spin_end:"
                   : "+r"(rounds), "=&r"(inside), "=&r"(pending)
                   : "m"(lguest_data.irq_pending)
                   : "memory");
  hcall0(LHCALL_SEND_INTERRUPTS);
  check_equal("interrupts inside the window", inside, 0);
  check_equal("irq_pending inside the window", pending, 0);
  check_equal("interrupts after it", irq_counts[0], 1);
  check(irq_eip[0] < (u32)spin_start || irq_eip[0] >= (u32)spin_end, "delivered at %p", (void *)irq_eip[0]);
}
