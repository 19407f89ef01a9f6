/* A vCPU whose data segments cannot be loaded begins in its failsafe callback, which finds them in its frame. */
#include "test.h"

static void never(void) { failure("the vCPU began all the same"); }

static void seen_failsafe(struct failsafe_frame *frame) {
  check_equal("the selector", frame->gs, 0x77);
  check_equal("where it would have begun", frame->eip, second.user_regs.eip);
  frame->eip = second.debugreg[0];
}

static volatile u32 went_on;
static void go_on(void) {
  went_on = 1;
  for (;;)
    vcpu_op(VCPUOP_DOWN, 1, NULL);
}

void test_main(void) {
  setup();
  failsafe_hook = seen_failsafe;
  second_prepare(never);
  second.user_regs.gs = 0x77;
  second.failsafe_callback_eip = (u32)failsafe_stub;
  check_answer("initialise", vcpu_op(VCPUOP_INITIALISE, 1, &second), 0);
  second.debugreg[0] = (u32)go_on;
  check_answer("up", vcpu_op(VCPUOP_UP, 1, NULL), 0);
  wait_until(&went_on, 1);
  check_equal("calls of the callback", failsafe_count, 1);
}
