/* VCPUOP_set_singleshot_timer and its end; the periodic timer goes on by itself until it is stopped. */
#include "test.h"

static u32 port;

static u64 wait_for_event(void) {
  u64 before = system_time();
  u32 events = event_counts[port];
  sched_op(SCHEDOP_BLOCK, NULL);
  events_off();
  check_equal("events", event_counts[port] - events, 1);
  return system_time() - before;
}

void test_main(void) {
  setup();
  port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  struct __attribute__((packed)) {
    u64 deadline;
    u32 flags;
  } shot = {system_time() + 4000000, 0};
  check_answer("a deadline", vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 0, &shot), 0);
  u64 took = wait_for_event();
  check(took > 3000000 && took < 5000000, "it took %llu ns", took);
  shot.deadline = 1;
  check_answer("one that is past", vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 0, &shot), 0);
  check(wait_for_event() < 1000000, "it took long");
  shot.deadline = system_time() + 1000000;
  vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 0, &shot);
  check_answer("stopping it", vcpu_op(VCPUOP_STOP_SINGLESHOT_TIMER, 0, NULL), 0);
  check_answer("stopping what does not run", vcpu_op(VCPUOP_STOP_SINGLESHOT_TIMER, 0, NULL), 0);
  u64 period = 3000000;
  check_answer("a period", vcpu_op(VCPUOP_SET_PERIODIC_TIMER, 0, &period), 0);
  for (u32 i = 0; i < 3; i++) {
    took = wait_for_event();
    check(took > 2000000 && took < 4000000, "a period took %llu ns", took);
  }
  check_answer("no more of it", vcpu_op(VCPUOP_STOP_PERIODIC_TIMER, 0, NULL), 0);
  /* Another timer wakes the guest later than the stopped one would have. */
  set_timer_op(system_time() + 10000000);
  took = wait_for_event();
  check(took >= 10000000, "a stopped timer came after %llu ns", took);
  period = VCPU_PERIODIC_MIN_NS - 1;
  check_answer("a period that is too short", vcpu_op(VCPUOP_SET_PERIODIC_TIMER, 0, &period), -XEN_EINVAL);
  check_answer("an unmapped argument", vcpu_op(VCPUOP_SET_PERIODIC_TIMER, 0, (void *)FREE_LIN), -XEN_EFAULT);
  check_answer("an unmapped argument", vcpu_op(VCPUOP_SET_SINGLESHOT_TIMER, 0, (void *)FREE_LIN), -XEN_EFAULT);
}
