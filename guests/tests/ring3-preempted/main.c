/* Interrupts reach the kernel while a process computes at ring 3, and the process never notices. */
#include "test.h"

static u32 USER_CODE compute(u32 rounds) {
  u32 value = 1;
  for (u32 i = 0; i < rounds; i++)
    value = value * 1664525 + 1013904223;
  return value;
}

void test_main(void) {
  setup();
  u32 wanted = 1;
  for (u32 i = 0; i < 500000; i++)
    wanted = wanted * 1664525 + 1013904223;
  lguest_data.blocked_interrupts = 0;
  for (u32 i = 1; i <= 3; i++) {
    hcall1(LHCALL_SET_CLOCKEVENT, 50000);
    check_equal("what ring 3 computed", user_call(compute, 500000), wanted);
    check_equal("interrupts", irq_counts[0], i);
    check(irq_eip[0] >= (u32)compute && irq_eip[0] < (u32)compute + 64, "interrupted at %p", (void *)irq_eip[0]);
  }
}
