/* An interrupt without a gate stays pending, and is delivered when there is one. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_LOAD_IDT_ENTRY, LGUEST_IRQ_BASE, 0, 0);
  lguest_data.blocked_interrupts = 0;
  lguest_data.irq_enabled = EFLAGS_IF;
  hcall1(LHCALL_SET_CLOCKEVENT, 1000);
  for (u32 i = 0; i < 1000000; i++)
    barrier();
  hcall0(LHCALL_SEND_INTERRUPTS);
  check_equal("delivered without a gate", irq_counts[0], 0);
  load_gate(LGUEST_IRQ_BASE, (u32)trap_stubs + 16 * LGUEST_IRQ_BASE, SYSDESC_INT_GATE32, 0);
  hcall0(LHCALL_SEND_INTERRUPTS);
  check_equal("delivered with one", irq_counts[0], 1);
}
