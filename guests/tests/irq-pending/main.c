/*
 * An interrupt that finds irq_enabled = 0 sets irq_pending to 0x200 and waits; once delivered and nothing else waits,
 * irq_pending is 0 again. Both are exact, because the guest asks for interrupts only when the word is set.
 */
#include "test.h"

static void wait_pending(void) {
  for (u32 i = 0; i < 20000000 && !lguest_data.irq_pending; i++)
    barrier();
}

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 0;
  for (u32 round = 1; round <= 3; round++) {
    interrupts_off();
    hcall1(LHCALL_SET_CLOCKEVENT, 5000);
    wait_pending();
    check_equal("irq_pending while it waits", lguest_data.irq_pending, EFLAGS_IF);
    check_equal("delivered while the flag is off", irq_counts[0], round - 1);
    interrupts_on();
    check_equal("delivered", irq_counts[0], round);
    check_equal("irq_pending after delivery", lguest_data.irq_pending, 0);
    check_equal("irq_enabled after delivery", lguest_data.irq_enabled, EFLAGS_IF);
  }
}
