/* Runstates: a vCPU that waits for its turn is runnable, one that is down offline; the registered copy says the same. */
#include "test.h"

static struct vcpu_runstate_info area;
static volatile u32 stop;

static void spins(void) {
  while (!stop)
    ;
}

static u64 sum(const struct vcpu_runstate_info *info) {
  return info->time[0] + info->time[1] + info->time[2] + info->time[3];
}

void test_main(void) {
  setup();
  struct vcpu_runstate_info info;
  check_answer("of the second", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 1, &info), 0);
  check_equal("which is offline", info.state, RUNSTATE_OFFLINE);
  check_answer("of none", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 2, &info), -XEN_ENOENT);
  check_answer("to nowhere", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 1, (void *)FREE_LIN), -XEN_EFAULT);
  u32 request[2] = {0xfffff000, 0};
  check_answer("a copy in Xen's area", vcpu_op(VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA, 1, request), -XEN_EFAULT);
  request[0] = (u32)&area;
  check_answer("a copy", vcpu_op(VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA, 1, request), 0);
  check_equal("begins with what is", area.state, RUNSTATE_OFFLINE);
  second_start(spins);
  u64 end = system_time() + 1000000;
  while (system_time() < end)
    sched_op(SCHEDOP_YIELD, NULL);
  check_answer("of the second", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 1, &info), 0);
  check_equal("which waits for its turn", info.state, RUNSTATE_RUNNABLE);
  check_equal("so does the copy", area.state, RUNSTATE_RUNNABLE);
  check(info.time[RUNSTATE_RUNNING] > 900000, "it ran for most of a millisecond");
  check(info.time[RUNSTATE_RUNNABLE] > 0, "and waited");
  u64 now = system_time();
  check(sum(&info) <= now && sum(&info) > now - 100000, "its times add up to all time");
  vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 0, &info);
  check_equal("the first runs", info.state, RUNSTATE_RUNNING);
  check(info.time[RUNSTATE_RUNNABLE] > 900000, "and waited while the second ran");
  stop = 1;
  wait_until_down();
  check_equal("the copy, when it is down", area.state, RUNSTATE_OFFLINE);
}
