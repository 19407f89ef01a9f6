/* A watchdog that nobody feeds ends the domain, also one that sleeps. */
#include "test.h"

void test_main(void) {
  setup();
  u32 op[2] = {0, 2};
  check_answer("a watchdog", sched_op(SCHEDOP_WATCHDOG, op), 1);
  u32 port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  set_timer_op(system_time() + 5000000000ull);
  sched_op(SCHEDOP_BLOCK, NULL);
  survived();
}
