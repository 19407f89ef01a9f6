/*
 * The upcall: taken when the guest goes on with something pending and the mask clear, with the mask set and the old one in its frame; what
 * comes while it is masked waits for the next entry; the iret call opens the mask, and takes what came meanwhile at once.
 */
#include "test.h"

static u32 port, eip, saved, mask, pending, flags, live;

static void look(struct frame *frame) {
  eip = frame->eip;
  saved = frame->saved_mask;
  mask = vcpu->upcall_mask;
  pending = vcpu->upcall_pending;
  flags = frame->eflags;
  live = read_eflags();
  scan_events();
  if (upcalls == 2)
    event_channel_op(EVTCHNOP_SEND, &port);
}

static u32 USER_CODE spin(u32 argument) {
  for (volatile u32 i = 0; i < 10; i++)
    argument++;
  return argument;
}

void test_main(void) {
  setup();
  upcall_hook = look;
  port = bind_ipi();
  unmask_bit(port);
  event_channel_op(EVTCHNOP_SEND, &port);
  check_equal("upcalls while masked", upcalls, 0);
  check_equal("upcall_pending", vcpu->upcall_pending, 1);
  events_on();
  check_equal("upcalls", upcalls, 1);
  check_equal("the mask in the callback", mask, 1);
  check_equal("upcall_pending in the callback", pending, 1);
  check_equal("the saved mask", saved, 0);
  check_equal("IF in its frame", flags & EFLAGS_IF, EFLAGS_IF);
  check_equal("IF in the callback", live & EFLAGS_IF, EFLAGS_IF);
  check_equal("the mask afterwards", vcpu->upcall_mask, 0);
  /* One that comes in the callback is taken when its iret opens the mask. */
  event_channel_op(EVTCHNOP_SEND, &port);
  check_equal("upcalls", upcalls, 3);
  check_equal("events", event_counts[port], 3);
  events_off();
  event_channel_op(EVTCHNOP_SEND, &port);
  check_equal("what comes back from ring 3", user_call(spin, 5), 15);
  check_equal("upcalls", upcalls, 4);
  check_equal("where it came from", eip, (u32)spin);
  /* The guest makes one pending itself: the byte is all that counts. */
  upcall_hook = NULL;
  vcpu->upcall_mask = 0;
  vcpu->upcall_pending = 1;
  xen_version(XENVER_PAGESIZE, NULL);
  check_equal("upcalls", upcalls, 5);
}
