/* EVTCHNOP_reset closes every port of the domain, also the console's: what is in its ring is printed at the end. */
#include "test.h"

void test_main(void) {
  setup();
  u32 port = bind_ipi(), timer = bind_virq(VIRQ_TIMER);
  u16 other[2] = {0};
  check_answer("of domain 0", event_channel_op(EVTCHNOP_RESET, other), -XEN_EPERM);
  check_equal("a port after that", status_of(port), EVTCHNSTAT_IPI);
  u16 self[2] = {DOMID_SELF};
  check_answer("reset", event_channel_op(EVTCHNOP_RESET, self), 0);
  check_equal("a port after that", status_of(port), EVTCHNSTAT_CLOSED);
  check_equal("a port after that", status_of(timer), EVTCHNSTAT_CLOSED);
  check_equal("the next port", bind_ipi(), 1);
}
