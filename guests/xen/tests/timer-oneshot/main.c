/* set_timer_op: VIRQ_TIMER when system time reaches the deadline, at once for one that is past; 0 cancels; a later call replaces. */
#include "test.h"

static u32 port;

static u32 wait_for_event(void) {
  u32 before = event_counts[port];
  sched_op(SCHEDOP_BLOCK, NULL);
  events_off();
  return event_counts[port] - before;
}

void test_main(void) {
  setup();
  port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  u64 start = system_time();
  check_answer("a deadline", set_timer_op(start + 5000000), 0);
  check_equal("events before it", event_counts[port], 0);
  check_equal("events at it", wait_for_event(), 1);
  u64 now = system_time();
  check(now >= start + 5000000 && now < start + 6000000, "%llu ns have passed", now - start);
  check_answer("a deadline that is past", set_timer_op(now - 1), 0);
  check_equal("its events", wait_for_event(), 1);
  check(system_time() < now + 1000000, "it took %llu ns", system_time() - now);
  set_timer_op(now + 50000000);
  check_answer("a nearer one", set_timer_op(now + 2000000), 0);
  check_equal("its events", wait_for_event(), 1);
  check(system_time() < now + 3000000, "it took %llu ns", system_time() - now);
  set_timer_op(system_time() + 50000);
  check_answer("none", set_timer_op(0), 0);
  now = system_time();
  while (system_time() < now + 100000)
    xen_version(XENVER_PAGESIZE, NULL);
  check(!is_pending(port), "a cancelled timer is pending");
}
