/* An event comes between any two instructions, in ring 1 and in ring 3, and nothing of what it interrupts is lost. */
#include "test.h"

static u32 port;
static u32 eips[4], css[4], taken;

static void again(struct frame *frame) {
  eips[taken % 4] = frame->eip;
  css[taken % 4] = frame->cs;
  taken++;
  scan_events();
  set_timer_op(system_time() + 1777);
}

static u32 USER_CODE count_down(u32 argument) {
  u32 sum = 0;
  for (u32 i = argument; i; i--)
    sum = sum * 3 + i;
  return sum;
}

static u32 wanted(u32 argument) {
  u32 sum = 0;
  for (u32 i = argument; i; i--)
    sum = sum * 3 + i;
  return sum;
}

void test_main(void) {
  setup();
  u32 sum = wanted(20000);
  port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  upcall_hook = again;
  set_timer_op(system_time() + 1000);
  check_equal("what ring 3 computed", user_call(count_down, 20000), sum);
  check(taken > 10, "ring 3 was interrupted %u times", taken);
  check_equal("CS of what was interrupted", css[0], USER_CS);
  check(eips[1] >= (u32)count_down && eips[1] < (u32)count_down + 0x100, "it was interrupted at %x", eips[1]);
  taken = 0;
  events_on();
  check_equal("what ring 1 computed", wanted(20000), sum);
  events_off();
  check(taken > 10, "ring 1 was interrupted %u times", taken);
  check_equal("CS of what was interrupted", css[1], KERNEL_CS);
}
