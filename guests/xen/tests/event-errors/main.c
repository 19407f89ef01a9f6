/* event_channel_op refuses ports that are none, domains of others, and what is no command. */
#include "test.h"

void test_main(void) {
  setup();
  static const u32 ports[] = {0, 900, 1024, 0x7fffffff, 0xffffffff};
  for (u32 i = 0; i < COUNT_OF(ports); i++) {
    u32 op[2] = {ports[i], 0};
    check_answer("close", event_channel_op(EVTCHNOP_CLOSE, op), -XEN_EINVAL);
    check_answer("send", event_channel_op(EVTCHNOP_SEND, op), -XEN_EINVAL);
    check_answer("bind_vcpu", event_channel_op(EVTCHNOP_BIND_VCPU, op), -XEN_EINVAL);
    s32 answer = event_channel_op(EVTCHNOP_UNMASK, op);
    check(answer == -XEN_EINVAL || ports[i] < EVTCHN_2L_PORTS, "unmask answers %d", answer);
  }
  u32 port = bind_ipi();
  u32 op[6] = {port, 1};
  check_answer("bind_vcpu to one that is none", event_channel_op(EVTCHNOP_BIND_VCPU, op), -XEN_ENOENT);
  struct channel_status status = {0, 0, port, 0, 0, 0, 0, 0};
  check_answer("status of domain 0's port", event_channel_op(EVTCHNOP_STATUS, &status), -XEN_EPERM);
  status.domid = 0x7123;
  check_answer("status of nobody's port", event_channel_op(EVTCHNOP_STATUS, &status), -XEN_ESRCH);
  check_answer("a command that is none", event_channel_op(99, op), -XEN_ENOSYS);
  for (u32 command = 0; command <= EVTCHNOP_RESET; command++)
    check_answer("an unmapped argument", event_channel_op(command, (void *)FREE_LIN), -XEN_EFAULT);
}
