/* Draining stops at the first slot that is free: what lies behind it is not the guest's to have run yet. */
#include "test.h"

void test_main(void) {
  setup();
  volatile struct hcall_args *call = &lguest_data.hcalls[(ring_cursor + 1) % LG_RING_SLOTS];
  call->nr = 99;
  lguest_data.hcall_status[(ring_cursor + 1) % LG_RING_SLOTS] = 0;
  hcall0(LHCALL_FLUSH_ASYNC);
  check_equal("the slot behind the gap", lguest_data.hcall_status[(ring_cursor + 1) % LG_RING_SLOTS], 0);
  lguest_data.hcall_status[(ring_cursor + 1) % LG_RING_SLOTS] = LG_HCALL_FREE;
}
