/* SCHEDOP_poll waits for ports that may be masked, or for a time; the mask stays, and nothing is taken off. */
#include "test.h"

struct __attribute__((packed)) sched_poll {
  u32 *ports;
  u32 count;
  u64 timeout;
};

void test_main(void) {
  setup();
  u32 ports[2] = {bind_ipi(), bind_virq(VIRQ_TIMER)};
  struct sched_poll op = {ports, 2, 0};
  event_channel_op(EVTCHNOP_SEND, &ports[0]);
  u64 start = system_time();
  check_answer("with one that is pending", sched_op(SCHEDOP_POLL, &op), 0);
  check(system_time() < start + 1000000, "it slept");
  check(is_pending(ports[0]), "the event is gone");
  check_equal("upcalls", upcalls, 0);
  check_equal("the mask", vcpu->upcall_mask, 1);
  shared->evtchn_pending[0] = 0;
  set_timer_op(start + 20000000);
  check_answer("with a timer behind a masked port", sched_op(SCHEDOP_POLL, &op), 0);
  check(is_pending(ports[1]) && system_time() >= start + 20000000, "it woke after %llu ns", system_time() - start);
  shared->evtchn_pending[0] = 0;
  op.timeout = start + 50000000;
  check_answer("with a time", sched_op(SCHEDOP_POLL, &op), 0);
  check(system_time() >= start + 50000000 && system_time() < start + 60000000, "it woke after %llu ns", system_time() - start);
  op.count = 129;
  check_answer("more ports than may be", sched_op(SCHEDOP_POLL, &op), -XEN_EINVAL);
  op.count = 1;
  op.ports = (u32 *)FREE_LIN;
  check_answer("an unmapped list", sched_op(SCHEDOP_POLL, &op), -XEN_EFAULT);
  ports[0] = 5000;
  op.ports = ports;
  check_answer("a port that is none", sched_op(SCHEDOP_POLL, &op), -XEN_EINVAL);
}
