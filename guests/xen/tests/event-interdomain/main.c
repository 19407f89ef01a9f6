/* alloc_unbound and bind_interdomain between two ports of one domain: what is sent on one is pending at the other. */
#include "test.h"

void test_main(void) {
  setup();
  struct alloc_unbound open = {DOMID_SELF, DOMID_SELF, 0};
  check_answer("alloc_unbound", event_channel_op(EVTCHNOP_ALLOC_UNBOUND, &open), 0);
  check_equal("its kind", status_of(open.port), EVTCHNSTAT_UNBOUND);
  check_answer("sending before there is anybody", event_channel_op(EVTCHNOP_SEND, &open.port), 0);
  struct bind_interdomain bind = {DOMID_SELF, 0, open.port, 0};
  check_answer("bind_interdomain", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &bind), 0);
  check_equal("its kind", status_of(bind.port), EVTCHNSTAT_INTERDOMAIN);
  check_equal("the other's kind", status_of(open.port), EVTCHNSTAT_INTERDOMAIN);
  check(is_pending(bind.port), "what may have been sent before is lost");
  shared->evtchn_pending[0] = 0;
  check_answer("binding to it again", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &bind), -XEN_EINVAL);
  check_answer("send", event_channel_op(EVTCHNOP_SEND, &bind.port), 0);
  check(is_pending(open.port) && !is_pending(bind.port), "pending are %x", shared->evtchn_pending[0]);
  check_answer("send", event_channel_op(EVTCHNOP_SEND, &open.port), 0);
  check(is_pending(bind.port), "pending are %x", shared->evtchn_pending[0]);
  struct channel_status op = {DOMID_SELF, 0, bind.port, 0, 0, 0, 0, 0};
  event_channel_op(EVTCHNOP_STATUS, &op);
  check_equal("the other end's port", op.remote_port, open.port);
  check_answer("close", event_channel_op(EVTCHNOP_CLOSE, &bind.port), 0);
  check_equal("its kind", status_of(bind.port), EVTCHNSTAT_CLOSED);
  check_equal("the other's kind", status_of(open.port), EVTCHNSTAT_UNBOUND);
  check_answer("closing it again", event_channel_op(EVTCHNOP_CLOSE, &bind.port), -XEN_EINVAL);
  struct bind_interdomain nobody = {DOMID_SELF, 0, 999, 0};
  check_answer("a port that is none", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &nobody), -XEN_EINVAL);
  nobody = (struct bind_interdomain){0x7123, 0, 1, 0};
  check_answer("a domain that is none", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &nobody), -XEN_ESRCH);
  open = (struct alloc_unbound){0, 0, 0};
  check_answer("a port for domain 0", event_channel_op(EVTCHNOP_ALLOC_UNBOUND, &open), -XEN_EPERM);
}
