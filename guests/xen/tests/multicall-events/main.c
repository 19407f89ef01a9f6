/* An event that becomes pending in a multicall is taken after it, not between its entries. */
#include "test.h"

static u32 port;
static struct multicall_entry list[4];

static void look(struct frame *frame) {
  (void)frame;
  check_equal("the last result when the event comes", list[3].result, XEN_VERSION);
  scan_events();
}

void test_main(void) {
  setup();
  port = bind_ipi();
  unmask_bit(port);
  list[0] = (struct multicall_entry){.op = HYPERVISOR_XEN_VERSION};
  list[1] = (struct multicall_entry){.op = HYPERVISOR_EVENT_CHANNEL_OP, .args = {EVTCHNOP_SEND, (u32)&port}};
  list[2] = list[3] = list[0];
  upcall_hook = look;
  vcpu->upcall_mask = 0;
  check_answer("the list", multicall(list, 4), 0);
  vcpu->upcall_mask = 1;
  check_equal("upcalls", upcalls, 1);
  check_equal("events", event_counts[port], 1);
}
