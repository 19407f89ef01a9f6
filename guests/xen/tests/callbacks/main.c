/* set_callbacks and callback_op: which kinds there are, that selectors lead to ring 1 at least, and what unregistering answers. */
#include "test.h"

static void check_kind(const char *what, u32 type, s32 registered, s32 unregistered) {
  struct callback_register op = {type, 0, KERNEL_CS, (u32)event_stub};
  check_answer(what, callback_op(CALLBACKOP_REGISTER, &op), registered);
  check_answer(what, callback_op(CALLBACKOP_UNREGISTER, &op), unregistered);
}

void test_main(void) {
  setup();
  check_answer("set_callbacks",
               hypercall4(HYPERVISOR_SET_CALLBACKS, KERNEL_CS & ~3u, event_stub, KERNEL_CS & ~3u, failsafe_stub), 0);
  u32 port = bind_ipi();
  unmask_bit(port);
  event_channel_op(EVTCHNOP_SEND, &port);
  events_on();
  events_off();
  check_equal("upcalls through a selector with RPL 0", upcalls, 1);
  check_kind("the event callback", CALLBACKTYPE_EVENT, 0, -XEN_EINVAL);
  check_kind("the failsafe callback", CALLBACKTYPE_FAILSAFE, 0, -XEN_EINVAL);
  check_kind("the 64-bit system call", CALLBACKTYPE_SYSCALL, -XEN_ENOSYS, -XEN_ENOSYS);
  check_kind("the NMI callback", CALLBACKTYPE_NMI, 0, 0);
  check_kind("SYSENTER", CALLBACKTYPE_SYSENTER, 0, -XEN_EINVAL);
  check_kind("SYSCALL of 32-bit programs", CALLBACKTYPE_SYSCALL32, 0, -XEN_EINVAL);
  check_kind("a kind that is none", 99, -XEN_ENOSYS, -XEN_ENOSYS);
  struct callback_register op = {CALLBACKTYPE_EVENT, 0, KERNEL_CS, (u32)event_stub};
  check_answer("an unmapped argument", callback_op(CALLBACKOP_REGISTER, (void *)FREE_LIN), -XEN_EFAULT);
  check_answer("an unmapped argument", callback_op(CALLBACKOP_UNREGISTER, (void *)FREE_LIN), -XEN_EFAULT);
  check_answer("an unknown command", callback_op(2, &op), -XEN_EINVAL);
}
