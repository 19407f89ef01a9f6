/* SET_CLOCKEVENT raises interrupt 0 once, not before its time; setting it again replaces it, 0 cancels it. */
#include "test.h"

static u64 ticks(u32 ns) { return divide((u64)ns * (lguest_data.tsc_khz / 1000), 1000, NULL); }

static void spin_until(u64 tsc) {
  while (rdtsc() < tsc)
    barrier();
}

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 0;
  interrupts_on();
  for (u32 ns = 10000; ns <= 1000000; ns *= 10) {
    u32 before = irq_counts[0];
    u64 start = rdtsc();
    hcall1(LHCALL_SET_CLOCKEVENT, ns);
    while (irq_counts[0] == before && rdtsc() < start + ticks(ns) * 4 + ticks(1000000))
      barrier();
    u64 took = rdtsc() - start;
    check_equal("interrupts", irq_counts[0], before + 1);
    check(took >= ticks(ns), "%u ns were over after %llu ticks", ns, took);
    spin_until(rdtsc() + ticks(ns) * 2);
    check_equal("interrupts after a while", irq_counts[0], before + 1);
  }
  u32 before = irq_counts[0];
  hcall1(LHCALL_SET_CLOCKEVENT, 100000);
  hcall1(LHCALL_SET_CLOCKEVENT, 0);
  spin_until(rdtsc() + ticks(300000));
  check_equal("interrupts after a cancel", irq_counts[0], before);
  hcall1(LHCALL_SET_CLOCKEVENT, 10000);
  hcall1(LHCALL_SET_CLOCKEVENT, 500000);
  spin_until(rdtsc() + ticks(100000));
  check_equal("interrupts at the time that was replaced", irq_counts[0], before);
  spin_until(rdtsc() + ticks(1000000));
  check_equal("interrupts at the time that replaced it", irq_counts[0], before + 1);
}
