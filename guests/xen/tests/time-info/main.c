/* vcpu_time_info: the counter gives nanoseconds by its rate, versions are even, and time never goes back, whatever is updated meanwhile. */
#include "test.h"

void test_main(void) {
  setup();
  u64 last = system_time();
  u32 updates = vcpu->time_version;
  for (u32 i = 0; i < 20000; i++) {
    u64 now = system_time();
    if (now < last) {
      check(0, "time goes from %llu to %llu", last, now);
      break;
    }
    last = now;
  }
  check(!(vcpu->time_version & 1), "the version is %u", vcpu->time_version);
  check_equal("the counter is stable", vcpu->time_flags & 1, 1);
  u32 port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  u64 ticks = rdtsc(), start = system_time();
  set_timer_op(start + 100000000);
  sched_op(SCHEDOP_BLOCK, NULL);
  events_off();
  u64 passed = system_time() - start;
  check(passed >= 100000000 && passed < 101000000, "%llu ns have passed", passed);
  check(rdtsc() > ticks, "the counter went back");
  check(vcpu->time_version > updates, "nobody updated the time in 100 ms");
  check(vcpu->system_time >= start, "the last update is older than the wait");
  check(shared->wc_sec && shared->wc_nsec < 1000000000, "the wall clock is %u.%u", shared->wc_sec, shared->wc_nsec);
}
