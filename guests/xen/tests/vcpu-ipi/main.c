/* Interrupts between vCPUs: one that runs is called, one that blocks or polls wakes, and nobody else is told. */
#include "test.h"

static u32 port, answer_port, poll_port;
static volatile u32 stage;

static void answers(void) {
  second_events_on();
  stage = 1;
  while (event_counts[port] == 0)
    ;
  stage = 2;
  sched_op(SCHEDOP_BLOCK, NULL);
  check_equal("events that end a block", event_counts[port], 2);
  second_info->upcall_mask = 1;
  stage = 3;
  struct {
    u32 *ports, count;
    u64 timeout;
  } poll = {&poll_port, 1, 0};
  sched_op(SCHEDOP_POLL, &poll);
  check_equal("what was polled for is pending", is_pending(poll_port), 1);
  send_event(answer_port);
  stage = 4;
}

void test_main(void) {
  setup();
  port = bind_ipi_of(1);
  poll_port = bind_ipi_of(1);
  answer_port = bind_ipi();
  unmask_bit(port);
  unmask_bit(answer_port);
  events_on();
  second_start(answers);
  wait_until(&stage, 1);
  check_answer("send to one that spins", send_event(port), 0);
  wait_until(&stage, 2);
  struct vcpu_runstate_info info;
  do {
    sched_op(SCHEDOP_YIELD, NULL);
    vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 1, &info);
  } while (info.state != RUNSTATE_BLOCKED);
  check_answer("send to one that blocks", send_event(port), 0);
  vcpu_op(VCPUOP_GET_RUNSTATE_INFO, 1, &info);
  check_equal("it is ready for its turn", info.state, RUNSTATE_RUNNABLE);
  wait_until(&stage, 3);
  check_answer("send to one that polls", send_event(poll_port), 0);
  wait_until(&stage, 4);
  check_equal("upcalls here", upcalls, 1);
  check_equal("of which the answer", event_counts[answer_port], 1);
  check_equal("upcalls there", second_upcalls, 2);

  struct alloc_unbound unbound = {DOMID_SELF, DOMID_SELF, 0};
  event_channel_op(EVTCHNOP_ALLOC_UNBOUND, &unbound);
  struct bind_interdomain loop = {DOMID_SELF, 0, unbound.port, 0};
  check_answer("a channel to oneself", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &loop), 0);
  u32 bind[2] = {unbound.port, 1};
  check_answer("bind_vcpu", event_channel_op(EVTCHNOP_BIND_VCPU, bind), 0);
  second_info->pending_sel = second_info->upcall_pending = 0;
  unmask_bit(unbound.port);
  check_answer("send", send_event(loop.port), 0);
  check_equal("the second is told", second_info->upcall_pending, 1);
  check_equal("the first is not", upcalls, 1);
}
