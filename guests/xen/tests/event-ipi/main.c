/* bind_ipi: a port that its own vCPU is told of when somebody sends on it. */
#include "test.h"

void test_main(void) {
  setup();
  u32 port = bind_ipi();
  check_equal("its kind", status_of(port), EVTCHNSTAT_IPI);
  unmask_bit(port);
  events_on();
  for (u32 i = 1; i <= 3; i++) {
    check_answer("send", event_channel_op(EVTCHNOP_SEND, &port), 0);
    check_equal("events", event_counts[port], i);
    check_equal("upcalls", upcalls, i);
  }
  struct bind_ipi op = {1, 0};
  check_answer("a vCPU that is none", event_channel_op(EVTCHNOP_BIND_IPI, &op), -XEN_ENOENT);
  u32 other[2] = {port, 0};
  check_answer("bind_vcpu, which it has by nature", event_channel_op(EVTCHNOP_BIND_VCPU, other), -XEN_EINVAL);
}
