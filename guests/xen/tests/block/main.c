/* SCHEDOP_block opens the mask and sleeps until an event; with one that waits it does not sleep. */
#include "test.h"

void test_main(void) {
  setup();
  u32 port = bind_ipi(), timer = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  event_channel_op(EVTCHNOP_SEND, &port);
  u64 start = system_time();
  check_answer("with an event that waits", sched_op(SCHEDOP_BLOCK, NULL), 0);
  check_equal("upcalls", upcalls, 1);
  check_equal("the mask", vcpu->upcall_mask, 0);
  check(system_time() < start + 1000000, "it slept");
  unmask_bit(timer);
  events_off();
  set_timer_op(start + 30000000);
  check_answer("with a timer", sched_op(SCHEDOP_BLOCK, NULL), 0);
  check_equal("upcalls", upcalls, 2);
  check(system_time() >= start + 30000000, "it woke after %llu ns", system_time() - start);
  events_off();
  check_answer("yield", sched_op(SCHEDOP_YIELD, NULL), 0);
  check_equal("the mask after yield", vcpu->upcall_mask, 1);
  check_answer("a command that is none", sched_op(99, NULL), -XEN_ENOSYS);
  check_answer("an unmapped argument", sched_op(SCHEDOP_SHUTDOWN, (void *)FREE_LIN), -XEN_EFAULT);
  check_answer("an unmapped argument", sched_op(SCHEDOP_POLL, (void *)FREE_LIN), -XEN_EFAULT);
}
