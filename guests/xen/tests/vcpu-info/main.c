/* register_vcpu_info moves a vCPU's structure once: what it had comes along, and everything is told again to be safe. */
#include "test.h"

static struct __attribute__((packed)) {
  u64 mfn;
  u32 offset, unused;
} op;

void test_main(void) {
  setup();
  u32 port = bind_ipi();
  u8 *page = alloc_page();
  op.mfn = mfn_of(page);
  op.offset = PAGE_SIZE - 0x3c;
  check_answer("past the end of the page", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 0, &op), -XEN_ENXIO);
  op.offset = 0x402;
  check_answer("at an odd place", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 0, &op), -XEN_ENXIO);
  op.offset = 0xfc0;
  op.mfn = NO_MFN;
  check_answer("in a frame that is none", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 0, &op), -XEN_EINVAL);
  op.mfn = mfn_of(l3_table());
  check_answer("in a page table", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 0, &op), -XEN_EINVAL);
  op.mfn = mfn_of(page);
  u32 version = vcpu->time_version;
  check_answer("in a page", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 0, &op), 0);
  vcpu = (struct vcpu_info *)(page + 0xfc0);
  check_equal("the mask", vcpu->upcall_mask, 1);
  check_equal("pending", vcpu->upcall_pending, 1);
  check_equal("the selector", vcpu->pending_sel, 0xffffffff);
  check(vcpu->time_version >= version && vcpu->tsc_to_system_mul, "the time did not come along");
  events_on();
  check_equal("upcalls", upcalls, 1);
  unmask_bit(port);
  event_channel_op(EVTCHNOP_SEND, &port);
  check_equal("events by way of the new place", event_counts[port], 1);
  events_off();
  TRY("movl %0, %%eax", : : "m"(*(u32 *)0x3ffff000) : "eax");
  expect_page_fault("the address of a fault", 0x3ffff000, 0);
  op.offset = 0;
  check_answer("a second time", vcpu_op(VCPUOP_REGISTER_VCPU_INFO, 0, &op), -XEN_EINVAL);
  s32 answer = update_va_mapping((u32)page, entry_for(page, READ_ONLY_FLAGS), UVMF_INVLPG);
  answer = answer ? answer : extended(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0);
  check(answer < 0, "the page becomes a page table");
}
