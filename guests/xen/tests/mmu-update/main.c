/* mmu_update changes entries of every level, each request by itself; it says how many were done, and stops at the first that fails. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *pages[3] = {alloc_page(), alloc_page(), alloc_page()};
  for (u32 i = 0; i < 3; i++)
    *(u32 *)pages[i] = i + 100;
  pte_t *l1 = l1_entry(FREE_LIN);
  struct mmu_update list[3];
  for (u32 i = 0; i < 3; i++)
    list[i] = (struct mmu_update){machine(l1 + i), entry_for(pages[i], KERNEL_FLAGS)};
  u32 done = 99;
  check_answer("three entries", mmu_update(list, 3, &done, DOMID_SELF), 0);
  check_equal("how many", done, 3);
  for (u32 i = 0; i < 3; i++)
    check_equal("what is mapped", peek(FREE_LIN + i * PAGE_SIZE), 100 + i);
  list[1].val |= PTE_PCD;
  list[0].val = list[2].val = 0;
  done = 99;
  check_answer("the second of three is bad", mmu_update(list, 3, &done, DOMID_SELF), -XEN_EINVAL);
  check_equal("how many", done, 1);
  check(l1[0] == 0, "the first was not made");
  check(l1[2] != 0, "the third was made");
  check_answer("none", mmu_update(list, 0, &done, DOMID_SELF), 0);
  check_equal("how many", done, 0);
  check_answer("nobody to tell", mmu_update(list + 2, 1, NULL, DOMID_SELF), 0);
  check_answer("a list that is unmapped", mmu_update((void *)(FREE_LIN + 0x100000), 1, &done, DOMID_SELF), -XEN_EFAULT);
  /* A call that is made again for what is left of it goes on counting. */
  done = 5;
  check_answer("one that goes on", mmu_update(list + 2, 1 | MMU_UPDATE_PREEMPTED, &done, DOMID_SELF), 0);
  check_equal("how many", done, 6);
  check_answer("a count that cannot be told", mmu_update(list + 2, 1, (void *)(FREE_LIN + 0x100000), DOMID_SELF), 0);
  check_answer("an upper level", set_entry(l2_entry(FREE_LIN), 0), 0);
  TRY("movl (%0), %%eax", : : "r"(FREE_LIN + PAGE_SIZE) : "eax");
  expect_page_fault("after the table is gone", FREE_LIN + PAGE_SIZE, 0);
  /* A page that is no table is just written. */
  check_answer("a plain page", update(machine(pages[0] + 8), 0x1122334455667788ull), 0);
  check(*(u64 *)(pages[0] + 8) == 0x1122334455667788ull, "the plain page has %llx", *(u64 *)(pages[0] + 8));
  check_answer("a frame that is none", update((u64)NO_MFN << 12, 0), -XEN_EINVAL);
}
