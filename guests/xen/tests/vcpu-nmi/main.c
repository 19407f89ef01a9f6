/* send_nmi: any vCPU's, with no argument; one that is blocked wakes for it. */
#include "test.h"

static volatile u32 nmis, stage;

static void counts(struct frame *frame) {
  if (frame->vector == VECTOR_NMI)
    nmis++;
}

static void blocks(void) {
  u32 callback[2] = {(u32)trap_stubs + 16 * VECTOR_NMI, 0};
  check_answer("the second's handler", hypercall2(HYPERVISOR_NMI_OP, XENNMI_REGISTER_CALLBACK, callback), 0);
  stage = 1;
  sched_op(SCHEDOP_BLOCK, NULL);
  check_equal("NMIs that ended the block", nmis, 1);
  stage = 2;
}

void test_main(void) {
  setup();
  trap_hook = counts;
  second_start(blocks);
  struct vcpu_runstate_info info;
  wait_until(&stage, 1);
  do {
    sched_op(SCHEDOP_YIELD, NULL);
    vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 1, &info);
  } while (info.state != RUNSTATE_BLOCKED);
  check_answer("an argument", vcpu_op(VCPUOP_SEND_NMI, 1, &info), -XEN_EINVAL);
  check_answer("a vCPU that is none", vcpu_op(VCPUOP_SEND_NMI, 2, NULL), -XEN_ENOENT);
  check_answer("send_nmi", vcpu_op(VCPUOP_SEND_NMI, 1, NULL), 0);
  wait_until(&stage, 2);
}
