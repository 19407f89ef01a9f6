/* Structures that calls read and write may lie across two pages whose frames are no neighbours, and at any address. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *low = alloc_page(), *gap = alloc_page(), *high = alloc_page();
  (void)gap;
  map(FREE_LIN, entry_for(high, KERNEL_FLAGS));
  map(FREE_LIN + PAGE_SIZE, entry_for(low, KERNEL_FLAGS));
  for (u32 before = 1; before < 16; before += 3) {
    struct mmu_update *request = (void *)(FREE_LIN + PAGE_SIZE - before);
    pte_t *entry = l1_entry(FREE_LIN + 0x10000);
    *request = (struct mmu_update){machine(entry), entry_for(gap, PTE_P)};
    u32 *done = (u32 *)(FREE_LIN + PAGE_SIZE - 2);
    if (before >= 4)
      done = (u32 *)(FREE_LIN + 0x100);
    check_answer("a request across", mmu_update(request, 1, done, DOMID_SELF), 0);
    check_equal("how many", *done, 1);
    check(*entry == entry_for(gap, PTE_P), "the entry is %llx", *entry);
    set_entry(entry, 0);
    struct multicall_entry *call = (void *)(FREE_LIN + PAGE_SIZE - before);
    *call = (struct multicall_entry){.op = HYPERVISOR_XEN_VERSION};
    check_answer("a multicall across", multicall(call, 1), 0);
    check_equal("its result", call->result, XEN_VERSION);
    char *text = (char *)(FREE_LIN + PAGE_SIZE - before);
    check_answer("an answer across", xen_version(XENVER_CAPABILITIES, text), 0);
    check(!strncmp(text, "xen-3.0-x86_32p", 15), "the answer is %s", text);
  }
}
