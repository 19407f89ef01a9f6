/* HALT sleeps until an interrupt can be delivered; it turns the flag on, delivers, and goes on behind the call. */
#include "test.h"

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 0;
  for (u32 round = 1; round <= 3; round++) {
    interrupts_off();
    hcall1(LHCALL_SET_CLOCKEVENT, 50000000);
    hcall0(LHCALL_HALT);
    check_equal("interrupts after HALT", irq_counts[0], round);
    check_equal("irq_enabled after HALT", lguest_data.irq_enabled, EFLAGS_IF);
    check_equal("irq_pending after HALT", lguest_data.irq_pending, 0);
  }
}
