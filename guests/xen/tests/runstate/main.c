/* get_runstate_info and the area a guest registers: how long the vCPU was running and blocked; it sums up to the time of its state. */
#include "test.h"

struct __attribute__((packed)) runstate {
  u32 state;
  u64 entry_time, time[4];
};

static struct runstate area, now;

void test_main(void) {
  setup();
  u32 port = bind_virq(VIRQ_TIMER);
  unmask_bit(port);
  check_answer("get_runstate_info", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 0, &now), 0);
  check_equal("the state", now.state, RUNSTATE_RUNNING);
  check(now.time[RUNSTATE_BLOCKED] == 0, "blocked for %llu ns already", now.time[RUNSTATE_BLOCKED]);
  u64 argument = (u32)&area;
  check_answer("an area", vcpu_op(VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA, 0, &argument), 0);
  check_equal("its state", area.state, RUNSTATE_RUNNING);
  set_timer_op(system_time() + 20000000);
  sched_op(SCHEDOP_BLOCK, NULL);
  events_off();
  check_equal("its state", area.state, RUNSTATE_RUNNING);
  u64 blocked = area.time[RUNSTATE_BLOCKED];
  check(blocked > 19000000 && blocked < 21000000, "blocked for %llu ns", blocked);
  vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 0, &now);
  check(now.time[RUNSTATE_BLOCKED] == blocked, "blocked for %llu ns, not %llu", now.time[RUNSTATE_BLOCKED], blocked);
  check(now.time[RUNSTATE_RUNNING] > area.time[RUNSTATE_RUNNING], "the running time stands still");
  check_answer("an unmapped answer", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 0, (void *)FREE_LIN), -XEN_EFAULT);
  check_answer("a vCPU that is none", vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 32, &now), -XEN_ENOENT);
}
