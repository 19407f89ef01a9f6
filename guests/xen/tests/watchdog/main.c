/* SCHEDOP_watchdog: two of them, each by its number; one that is fed in time does nothing. */
#include "test.h"

static s32 watchdog(u32 id, u32 seconds) {
  u32 op[2] = {id, seconds};
  return sched_op(SCHEDOP_WATCHDOG, op);
}

static void wait_seconds(u32 seconds) {
  set_timer_op(system_time() + seconds * 1000000000ull);
  sched_op(SCHEDOP_BLOCK, NULL);
  events_off();
}

void test_main(void) {
  setup();
  u32 port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  check_answer("the first", watchdog(0, 3), 1);
  check_answer("the second", watchdog(0, 100), 2);
  check_answer("a third", watchdog(0, 3), -XEN_ENOSPC);
  check_answer("a number that is none", watchdog(3, 3), -XEN_EINVAL);
  wait_seconds(2);
  check_answer("feeding it", watchdog(1, 3), 0);
  wait_seconds(2);
  check_answer("ending it", watchdog(1, 0), 0);
  wait_seconds(4);
  check_answer("the number is free again", watchdog(0, 3), 1);
  check_answer("ending it", watchdog(1, 0), 0);
  check_answer("feeding one that is not there", watchdog(1, 3), -XEN_EINVAL);
  check_answer("ending the other", watchdog(2, 0), 0);
  check_answer("an unmapped argument", sched_op(SCHEDOP_WATCHDOG, (void *)FREE_LIN), -XEN_EFAULT);
}
