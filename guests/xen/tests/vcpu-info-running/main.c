/* The struct vcpu_info of a vCPU that is up is moved by nobody else. */
#include "test.h"

static u8 page[PAGE_SIZE] __attribute__((aligned(4096)));
static volatile u32 stop;

static void spins(void) {
  while (!stop)
    ;
}

void test_main(void) {
  setup();
  second_start(spins);
  struct {
    u64 mfn;
    u32 offset, unused;
  } request = {mfn_of(page), 0, 0};
  check_answer("while it is up", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 1, &request), -XEN_EINVAL);
  stop = 1;
  wait_until_down();
  check_answer("when it is down", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 1, &request), 0);
}
