/* An NMI enters the handler of nmi_op or callback_op with the upcall mask set; without a handler it is lost. */
#include "test.h"

static u32 count, saved, mask, eip;

static void take(struct frame *frame) {
  if (frame->vector != VECTOR_NMI)
    return;
  count++;
  saved = frame->saved_mask;
  mask = fault.mask;
  eip = frame->eip;
}

void test_main(void) {
  setup();
  u32 callback[2] = {(u32)trap_stubs + 16 * VECTOR_NMI, 0};
  check_answer("unregistering", hypercall2(HYPERVISOR_NMI_OP, XENNMI_UNREGISTER_CALLBACK, NULL), 0);
  check_answer("sending without a handler", vcpu_op(VCPUOP_SEND_NMI, 0, NULL), 0);
  trap_hook = take;
  check_answer("registering", hypercall2(HYPERVISOR_NMI_OP, XENNMI_REGISTER_CALLBACK, callback), 0);
  check_equal("NMIs that were lost", count, 0);
  check_answer("sending", vcpu_op(VCPUOP_SEND_NMI, 0, NULL), 0);
  check_equal("NMIs", count, 1);
  vcpu->upcall_mask = 0;
  vcpu_op(VCPUOP_SEND_NMI, 0, NULL);
  check_equal("the mask after it", vcpu->upcall_mask, 0);
  events_off();
  check_equal("NMIs", count, 2);
  check_equal("the saved mask", saved, 0);
  check_equal("the mask in the handler", mask, 1);
  check(eip >= (u32)hypercall_page && eip < (u32)hypercall_page + PAGE_SIZE, "it came at %x", eip);
  struct callback_register op = {CALLBACKTYPE_NMI, 0, 0, callback[0]};
  check_answer("unregistering", callback_op(CALLBACKOP_UNREGISTER, &op), 0);
  vcpu_op(VCPUOP_SEND_NMI, 0, NULL);
  check_answer("registering by callback_op", callback_op(CALLBACKOP_REGISTER, &op), 0);
  vcpu_op(VCPUOP_SEND_NMI, 0, NULL);
  check_equal("NMIs", count, 3);
  trap_hook = NULL;
  check_answer("an unmapped argument", hypercall2(HYPERVISOR_NMI_OP, XENNMI_REGISTER_CALLBACK, FREE_LIN), -XEN_EFAULT);
  check_answer("an unknown command", hypercall2(HYPERVISOR_NMI_OP, 2, NULL), -XEN_ENOSYS);
}
