/* SEND_INTERRUPTS delivers what waits before the next instruction, and is harmless when nothing does. */
#include "test.h"

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 0;
  hcall0(LHCALL_SEND_INTERRUPTS);
  check_equal("delivered from nothing", irq_total, 0);
  interrupts_off();
  hcall1(LHCALL_SET_CLOCKEVENT, 1000);
  for (u32 i = 0; i < 20000000 && !lguest_data.irq_pending; i++)
    barrier();
  hcall0(LHCALL_SEND_INTERRUPTS);
  check_equal("delivered with the flag off", irq_total, 0);
  check_equal("irq_pending", lguest_data.irq_pending, EFLAGS_IF);
  u32 after;
  lguest_data.irq_enabled = EFLAGS_IF;
  __asm__ volatile("int $0x1f; movl irq_total, %1" : : "a"(LHCALL_SEND_INTERRUPTS), "r"(0) : "memory", "ebx");
  __asm__ volatile("movl irq_total, %0" : "=r"(after));
  check_equal("delivered at the call", after, 1);
}
