/* Ports are given out from the lowest that is free; when there are none left the answer is -ENOSPC, and closing one helps. */
#include "test.h"

void test_main(void) {
  setup();
  u32 first = bind_ipi(), last = first;
  struct alloc_unbound op = {DOMID_SELF, 0, 0};
  s32 answer;
  while ((answer = event_channel_op(EVTCHNOP_ALLOC_UNBOUND, &op)) == 0) {
    if (op.port != last + 1)
      error("port %u comes after %u", op.port, last);
    last = op.port;
  }
  check_answer("at the end", answer, -XEN_ENOSPC);
  check_equal("the last port", last, EVTCHN_2L_PORTS - 1);
  u32 port = 500;
  check_answer("close", event_channel_op(EVTCHNOP_CLOSE, &port), 0);
  check_equal("the next one", bind_ipi(), 500);
  unmask_bit(500);
  events_on();
  event_channel_op(EVTCHNOP_SEND, &port);
  check_equal("its events", event_counts[500], 1);
}
