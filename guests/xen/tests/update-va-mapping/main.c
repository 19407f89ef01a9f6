/* update_va_mapping changes the entry that maps an address now, and flushes as it is told. */
#include "test.h"

void test_main(void) {
  setup();
  u32 *one = alloc_page(), *two = alloc_page();
  one[0] = 1;
  two[0] = 2;
  u32 all = 1;
  static const char *names[] = {"nothing", "everything", "the page", "three"};
  check_answer("where no L1 table is", update_va_mapping(FREE_LIN, entry_for(one, KERNEL_FLAGS), 0), -XEN_EINVAL);
  check_answer("in Xen's area", update_va_mapping(HYPERVISOR_VIRT_START, 0, 0), -XEN_EINVAL);
  check_answer("at the end of all", update_va_mapping(0xfffff000, 0, 0), -XEN_EINVAL);
  l1_table(FREE_LIN);
  for (u32 kind = 0; kind < 4; kind++) {
    u32 where[3] = {0, UVMF_ALL, (u32)&all};
    for (u32 i = 0; i < 3; i++) {
      update_va_mapping(FREE_LIN, entry_for(one, KERNEL_FLAGS), UVMF_TLB_FLUSH);
      check_equal("the first page", peek(FREE_LIN), 1);
      check_answer(names[kind], update_va_mapping(FREE_LIN, entry_for(two, KERNEL_FLAGS), kind | where[i]), 0);
      if (kind == UVMF_TLB_FLUSH || kind == UVMF_INVLPG)
        check_equal("the second page after a flush", peek(FREE_LIN), 2);
    }
  }
  check_answer("a set of vCPUs that cannot be read",
               update_va_mapping(FREE_LIN, 0, UVMF_INVLPG | (FREE_LIN + 0x100000)), -XEN_EFAULT);
  check_answer("an address within the page", update_va_mapping(FREE_LIN + 0x123, entry_for(one, KERNEL_FLAGS), UVMF_INVLPG), 0);
  check_equal("the page", peek(FREE_LIN), 1);
  check_answer("nothing there any more", update_va_mapping(FREE_LIN, 0, UVMF_INVLPG), 0);
  TRY("movl (%0), %%eax", : : "r"(FREE_LIN) : "eax");
  expect_page_fault("a read", FREE_LIN, 0);
}
