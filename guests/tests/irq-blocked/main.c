/* A blocked interrupt neither arrives nor shows in irq_pending; unblocking it needs no call. */
#include "test.h"

static void spin(u32 rounds) {
  while (rounds--)
    barrier();
}

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 1;
  lguest_data.irq_enabled = EFLAGS_IF;
  hcall1(LHCALL_SET_CLOCKEVENT, 1000);
  spin(1000000);
  hcall0(LHCALL_SEND_INTERRUPTS);
  check_equal("delivered while blocked", irq_counts[0], 0);
  check_equal("irq_pending while blocked", lguest_data.irq_pending, 0);
  lguest_data.blocked_interrupts = 0;
  for (u32 i = 0; i < 20000000 && !irq_counts[0]; i++)
    barrier();
  check_equal("delivered once unblocked", irq_counts[0], 1);
}
