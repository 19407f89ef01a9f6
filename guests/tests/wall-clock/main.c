/* lguest_data.time moves when an interrupt is delivered, and keeps up with the time-stamp counter. */
#include "test.h"

static u64 wall_ns(void) { return (u64)lguest_data.time_sec * 1000000000 + lguest_data.time_nsec; }

void test_main(void) {
  setup();
  lguest_data.blocked_interrupts = 0;
  hcall1(LHCALL_SET_CLOCKEVENT, 1000);
  hcall0(LHCALL_HALT);
  u64 start = wall_ns(), start_tsc = rdtsc();
  for (u32 i = 0; i < 5; i++) {
    u64 before = wall_ns();
    hcall1(LHCALL_SET_CLOCKEVENT, 20000000);
    hcall0(LHCALL_HALT);
    check(wall_ns() > before, "the wall clock stood still");
    check(lguest_data.time_nsec < 1000000000, "%u is no number of nanoseconds", lguest_data.time_nsec);
  }
  u32 wall_us = (u32)divide(wall_ns() - start, 1000, NULL);
  u32 tsc_us = (u32)divide(rdtsc() - start_tsc, lguest_data.tsc_khz / 1000, NULL);
  check(wall_us >= 99000, "five times 20 ms took %u us", wall_us);
  check(tsc_us + 5000 > wall_us && wall_us + 5000 > tsc_us, "wall clock %u us, counter %u us", wall_us, tsc_us);
}
