/* Timers of each vCPU: VIRQ_TIMER comes to the one whose it is; a one-shot one is set by its own vCPU only. */
#include "test.h"

static u32 port, ready_port;
static volatile u32 stage;

static void sleeps(void) {
  second_events_on();
  stage = 1;
  set_timer_op(system_time() + 200000);
  sched_op(SCHEDOP_BLOCK, NULL);
  check_equal("events of the one-shot timer", event_counts[port], 1);
  while (event_counts[port] < 4)
    sched_op(SCHEDOP_BLOCK, NULL);
  stage = 2;
  send_event(ready_port);
}

void test_main(void) {
  setup();
  struct bind_virq op = {VIRQ_TIMER, 1, 0};
  check_answer("the second's VIRQ_TIMER", event_channel_op(EVTCHNOP_BIND_VIRQ, &op), 0);
  check_answer("once more", event_channel_op(EVTCHNOP_BIND_VIRQ, &op), -XEN_EEXIST);
  port = op.port;
  u32 own = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  unmask_bit(own);
  ready_port = bind_ipi();
  unmask_bit(ready_port);
  events_on();
  second_start(sleeps);
  struct {
    u64 deadline;
    u32 flags, unused;
  } shot = {1, 0, 0};
  check_answer("another's one-shot timer", vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 1, &shot), -XEN_EINVAL);
  check_answer("stopping it", vcpu_op(VCPUOP_STOP_SINGLESHOT_TIMER, 1, NULL), -XEN_EINVAL);
  while (event_counts[port] == 0)
    sched_op(SCHEDOP_YIELD, NULL);
  u64 period = 999999;
  check_answer("a period too short", vcpu_op(VCPUOP_SET_PERIODIC_TIMER, 1, &period), -XEN_EINVAL);
  period = 1000000;
  check_answer("another's periodic timer", vcpu_op(VCPUOP_SET_PERIODIC_TIMER, 1, &period), 0);
  while (stage != 2)
    sched_op(SCHEDOP_BLOCK, NULL);
  check_answer("stopping it", vcpu_op(VCPUOP_STOP_PERIODIC_TIMER, 1, NULL), 0);
  check_equal("events here", event_counts[own], 0);
  u64 now = system_time();
  set_timer_op(now + 200000);
  shot.deadline = now + 50000;
  check_answer("the same timer set by the other call", vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 0, &shot), 0);
  while (system_time() < now + 300000)
    ;
  xen_version(XENVER_VERSION, NULL);
  check_equal("fires once", event_counts[own], 1);
  shot.deadline = 1;
  check_answer("a time that is past", vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 0, &shot), 0);
  xen_version(XENVER_VERSION, NULL);
  check_equal("fires at once", event_counts[own], 2);
}
