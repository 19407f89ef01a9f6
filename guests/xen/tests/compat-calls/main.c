/* The older forms of sched_op, event_channel_op and physdev_op: arguments by value, or command and structure in one. */
#include "test.h"

void test_main(void) {
  setup();
  check_answer("yield", hypercall2(HYPERVISOR_SCHED_OP_COMPAT, SCHEDOP_YIELD, 0), 0);
  check_answer("a command that is none", hypercall2(HYPERVISOR_SCHED_OP_COMPAT, 9, 0), -XEN_ENOSYS);
  u32 ipi[3] = {EVTCHNOP_BIND_IPI, 0, 0};
  check_answer("bind_ipi", hypercall1(HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, ipi), 0);
  check_equal("its kind", status_of(ipi[2]), EVTCHNSTAT_IPI);
  unmask_bit(ipi[2]);
  u32 send[2] = {EVTCHNOP_SEND, ipi[2]};
  check_answer("send", hypercall1(HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, send), 0);
  check(is_pending(ipi[2]), "nothing is pending");
  check_answer("block, with an event pending", hypercall2(HYPERVISOR_SCHED_OP_COMPAT, SCHEDOP_BLOCK, 0), 0);
  check_equal("upcalls", upcalls, 1);
  check_equal("the mask", vcpu->upcall_mask, 0);
  events_off();
  u32 close[2] = {EVTCHNOP_CLOSE, ipi[2]};
  check_answer("close", hypercall1(HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, close), 0);
  u32 unknown[2] = {99, 0};
  check_answer("a command that is none", hypercall1(HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, unknown), -XEN_ENOSYS);
  check_answer("an unmapped argument", hypercall1(HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, FREE_LIN), -XEN_EFAULT);
  u32 iopl[2] = {PHYSDEVOP_SET_IOPL, 1};
  check_answer("set_iopl", hypercall1(HYPERVISOR_PHYSDEV_OP_COMPAT, iopl), 0);
  TRY("outb %%al, $0x80", : : "a"(0));
  expect_no_fault("OUT at ring 1");
  check_answer("an unmapped argument", hypercall1(HYPERVISOR_PHYSDEV_OP_COMPAT, FREE_LIN), -XEN_EFAULT);
}
