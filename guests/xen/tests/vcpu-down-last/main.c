/* When the last vCPU goes down, the domain has powered off. */
#include "test.h"

static void takes_first_down(void) {
  check_answer("down of the first", vcpu_op(VCPUOP_DOWN, 0, NULL), 0);
  check_answer("the first is down", vcpu_op(VCPUOP_IS_UP, 0, NULL), 0);
  printk("second alone\n");
  vcpu_op(VCPUOP_DOWN, 1, NULL);
  survived();
}

void test_main(void) {
  setup();
  second_start(takes_first_down);
  for (;;)
    sched_op(SCHEDOP_YIELD, NULL);
}
