/* bind_virq: one port for each virq, per vCPU or per domain; VIRQ_TIMER comes through the port it is bound to. */
#include "test.h"

static s32 bind(u32 virq, u32 id) {
  struct bind_virq op = {virq, id, 0};
  return event_channel_op(EVTCHNOP_BIND_VIRQ, &op);
}

void test_main(void) {
  setup();
  u32 port = bind_virq(VIRQ_TIMER);
  check_equal("its kind", status_of(port), EVTCHNSTAT_VIRQ);
  struct channel_status op = {DOMID_SELF, 0, port, 0, 9, 9, 0, 0};
  event_channel_op(EVTCHNOP_STATUS, &op);
  check_equal("its virq", op.remote_domid, VIRQ_TIMER);
  check_equal("its vCPU", op.vcpu, 0);
  check_answer("a second time", bind(VIRQ_TIMER, 0), -XEN_EEXIST);
  check_answer("a vCPU that is none", bind(VIRQ_DEBUG, 1), -XEN_ENOENT);
  check_answer("a virq of the domain's for another vCPU", bind(VIRQ_CONSOLE, 1), -XEN_EINVAL);
  check_answer("a virq that is none", bind(NR_VIRQS, 0), -XEN_EINVAL);
  check_answer("VIRQ_DEBUG", bind(VIRQ_DEBUG, 0), 0);
  check_answer("sending on it", event_channel_op(EVTCHNOP_SEND, &port), -XEN_EINVAL);
  unmask_bit(port);
  set_timer_op(1);
  check(is_pending(port), "a deadline in the past is not pending");
  check_answer("closing", event_channel_op(EVTCHNOP_CLOSE, &port), 0);
  check(!is_pending(port), "it is pending after it was closed");
  check_answer("binding it again", bind(VIRQ_TIMER, 0), 0);
  check_answer("an unmapped argument", event_channel_op(EVTCHNOP_BIND_VIRQ, (void *)FREE_LIN), -XEN_EFAULT);
}
