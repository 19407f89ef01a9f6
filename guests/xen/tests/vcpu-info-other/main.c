/* Where a vCPU's struct vcpu_info and its time are: chosen once, by itself or before it is up; events go there from then on. */
#include "test.h"

static u8 page[PAGE_SIZE] __attribute__((aligned(4096)));
static u8 time_area[32];
static volatile u32 stop;

static void spins(void) {
  while (!stop)
    ;
}

static s32 put(u32 id, u32 offset) {
  struct {
    u64 mfn;
    u32 offset, unused;
  } request = {mfn_of(page), offset, 0};
  return vcpu_op(VCPUOP_REGISTER_VCPU_INFO, id, &request);
}

void test_main(void) {
  setup();
  check_answer("past the page", put(1, PAGE_SIZE - VCPU_INFO_BYTES + 4), -XEN_ENXIO);
  check_answer("not aligned", put(1, 2), -XEN_ENXIO);
  check_answer("before it is up", put(1, 0x40), 0);
  struct vcpu_info *info = (struct vcpu_info *)(page + 0x40);
  check_equal("masked as it was", info->upcall_mask, 1);
  check_equal("pending to be safe", info->upcall_pending, 1);
  check_equal("and all of it", info->pending_sel, 0xffffffff);
  check(info->time_version != 0 && !(info->time_version & 1), "its time is set");
  check_answer("a second time", put(1, 0x80), -XEN_EINVAL);
  info->upcall_pending = info->pending_sel = 0;
  u32 port = bind_ipi_of(1);
  unmask_bit(port);
  send_event(port);
  check_equal("an event is told there", info->upcall_pending, 1);
  check_equal("and not at the old place", second_info->upcall_pending, 0);
  u32 request[2] = {(u32)time_area, 0};
  check_answer("a copy of its time", vcpu_op(VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA, 1, request), 0);
  check_equal("has the multiplier", *(u32 *)(time_area + 24), info->tsc_to_system_mul);
  second_start(spins);
  check_answer("for the first by itself", put(0, 0x100), 0);
  vcpu = (struct vcpu_info *)(page + 0x100);
  stop = 1;
  wait_until_down();
  check_answer("where they run", vcpu_op(VCPUOP_GET_PHYSID, 0, request), -XEN_EINVAL);
}
