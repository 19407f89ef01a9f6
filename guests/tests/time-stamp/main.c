/* rdtsc works at rings 1 and 3, never goes back, and runs at the rate that tsc_khz names. */
#include "test.h"

static u32 USER_CODE user_rdtsc(u32 argument) {
  __asm__ volatile("rdtsc" : "+a"(argument) : : "edx");
  return argument;
}

void test_main(void) {
  setup();
  u64 last = rdtsc();
  for (u32 i = 0; i < 1000; i++) {
    u64 now = rdtsc();
    check(now > last, "the counter did not move");
    last = now;
  }
  user_call(user_rdtsc, 0);
  check_equal("rdtsc at ring 3", fault.vector, SYSCALL_VECTOR);
  lguest_data.blocked_interrupts = 0;
  u64 start = rdtsc();
  hcall1(LHCALL_SET_CLOCKEVENT, 100000000);
  hcall0(LHCALL_HALT);
  u32 ms = (u32)divide(rdtsc() - start, lguest_data.tsc_khz, NULL);
  check(ms >= 100 && ms < 400, "a clock event of 100 ms came after %u ms of the counter", ms);
}
