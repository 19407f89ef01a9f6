/* A masked port becomes pending and tells nobody; the unmask call tells then, clearing the bit by hand does not. */
#include "test.h"

void test_main(void) {
  setup();
  u32 port = bind_ipi();
  check_answer("send", event_channel_op(EVTCHNOP_SEND, &port), 0);
  check(is_pending(port), "it is not pending");
  check_equal("upcall_pending", vcpu->upcall_pending, 0);
  check_equal("pending_sel", vcpu->pending_sel, 0);
  unmask_bit(port);
  xen_version(XENVER_PAGESIZE, NULL);
  check_equal("upcall_pending after the bit was cleared", vcpu->upcall_pending, 0);
  mask_bit(port);
  check_answer("unmask", event_channel_op(EVTCHNOP_UNMASK, &port), 0);
  check_equal("upcall_pending", vcpu->upcall_pending, 1);
  check_equal("pending_sel", vcpu->pending_sel, 1u << port / 32);
  check(!(shared->evtchn_mask[port / 32] >> port % 32 & 1), "it is masked still");
  events_on();
  check_equal("events", event_counts[port], 1);
  check_answer("unmask when nothing is pending", event_channel_op(EVTCHNOP_UNMASK, &port), 0);
  check_equal("events", event_counts[port], 1);
  /* What is pending already is not told a second time. */
  events_off();
  event_channel_op(EVTCHNOP_SEND, &port);
  vcpu->upcall_pending = 0;
  vcpu->pending_sel = 0;
  event_channel_op(EVTCHNOP_SEND, &port);
  check_equal("upcall_pending", vcpu->upcall_pending, 0);
}
