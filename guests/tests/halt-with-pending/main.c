/* HALT with an interrupt already waiting does not sleep. */
#include "test.h"

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 0;
  interrupts_off();
  hcall1(LHCALL_SET_CLOCKEVENT, 1000);
  for (u32 i = 0; i < 20000000 && !lguest_data.irq_pending; i++)
    barrier();
  check_equal("delivered before HALT", irq_counts[0], 0);
  hcall0(LHCALL_HALT);
  check_equal("delivered by HALT", irq_counts[0], 1);
}
