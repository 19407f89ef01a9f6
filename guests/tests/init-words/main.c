/*
 * LGUEST_INIT fills in the Host's words of lguest_data (time, tsc_khz, reserve_mem) and leaves the guest's alone.
 */
#include "test.h"

void test_main(void) {
  lguest_data.reserve_mem = 1;
  lg_init();
  check(lguest_data.time_sec != 0, "the wall clock is not set");
  check(lguest_data.time_nsec < 1000000000, "%u is no number of nanoseconds", lguest_data.time_nsec);
  check((lguest_data.reserve_mem & ~PAGE_MASK) == 0, "reserve_mem %x is not whole pages", lguest_data.reserve_mem);
  check(lguest_data.tsc_khz >= 1000, "tsc_khz is %u", lguest_data.tsc_khz);
  check_equal("irq_enabled", lguest_data.irq_enabled, 0);
  check_equal("irq_pending", lguest_data.irq_pending, 0);
  check_equal("blocked_interrupts", lguest_data.blocked_interrupts, 1);
  check_equal("kernel_address", lguest_data.kernel_address, KERNEL_HALF);
  check_equal("syscall_vec", lguest_data.syscall_vec, SYSCALL_VECTOR);
  for (u32 i = 0; i < LG_RING_SLOTS; i++)
    check_equal("a ring slot", lguest_data.hcall_status[i], LG_HCALL_FREE);
}
