/* VCPUOP_down: a vCPU stands still until it is brought up, and goes on after the call, with what it had. */
#include "test.h"

static volatile u32 steps, may_spin;

static void steps_and_rests(void) {
  for (u32 i = 1; i <= 3; i++) {
    steps = i;
    check_answer("down, once up again", vcpu_op(VCPUOP_DOWN, 1, NULL), 0);
  }
  while (may_spin)
    steps++;
}

void test_main(void) {
  setup();
  second_start(steps_and_rests);
  for (u32 i = 1; i <= 3; i++) {
    wait_until(&steps, i);
    wait_until_down();
    for (u32 turns = 0; turns < 10; turns++)
      sched_op(SCHEDOP_YIELD, NULL);
    check_equal("steps while it is down", steps, i);
    may_spin = i == 3;
    check_answer("up", vcpu_op(VCPUOP_UP, 1, NULL), 0);
  }
  while (steps < 100)
    sched_op(SCHEDOP_YIELD, NULL);
  check_answer("down by another", vcpu_op(VCPUOP_DOWN, 1, NULL), 0);
  check_answer("down, being so", vcpu_op(VCPUOP_DOWN, 1, NULL), 0);
  u32 last = steps;
  for (u32 turns = 0; turns < 10; turns++)
    sched_op(SCHEDOP_YIELD, NULL);
  check_equal("steps of one that was taken down", steps, last);
  check_answer("up", vcpu_op(VCPUOP_UP, 1, NULL), 0);
  while (steps == last)
    sched_op(SCHEDOP_YIELD, NULL);
  may_spin = 0;
  wait_until_down();
}
