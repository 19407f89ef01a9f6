/* What an L1 entry may say: its flags, and whose frame it names with which rights. */
#include "test.h"

static u8 *page;

static void check_flags(const char *what, pte_t flags, s32 answer) {
  check_answer(what, map(FREE_LIN, entry_for(page, PTE_P) | flags), answer);
  if (answer == 0)
    check(*l1_entry(FREE_LIN) == (entry_for(page, PTE_P) | flags), "%s is stored as %llx", what, *l1_entry(FREE_LIN));
  map(FREE_LIN, 0);
}

void test_main(void) {
  setup();
  page = alloc_page();
  check_flags("read-only", 0, 0);
  check_flags("writable", PTE_RW, 0);
  check_flags("for users", PTE_US, 0);
  check_flags("accessed and dirty", PTE_A | PTE_D, 0);
  check_flags("global", PTE_G, 0);
  check_flags("with the bits for software", 0xe00, 0);
  check_flags("never to be executed", 1ull << 63, 0);
  check_flags("with the upper bits for software", 1ull << 52, 0);
  check_flags("as Xen marks what it maps by grant", 1ull << 62, -XEN_EINVAL);
  check_flags("written through", PTE_PWT, -XEN_EINVAL);
  check_flags("uncached", PTE_PCD, -XEN_EINVAL);
  check_flags("with a PAT bit", PTE_PS, -XEN_EINVAL);
  check_answer("an entry that is not present may say anything", map(FREE_LIN, ~(pte_t)PTE_P), 0);
  map(FREE_LIN, 0);
  check_answer("a page table, writable", map(FREE_LIN, entry_for(l3_table(), KERNEL_FLAGS)), -XEN_EBUSY);
  check_answer("a page table, read-only", map(FREE_LIN, entry_for(l3_table(), READ_ONLY_FLAGS)), 0);
  check_answer("making that writable", map(FREE_LIN, entry_for(l3_table(), KERNEL_FLAGS)), -XEN_EBUSY);
  check_answer("the shared page, writable", map(FREE_LIN, (pte_t)start_info->shared_info | KERNEL_FLAGS), 0);
  check_answer("a frame that is none", map(FREE_LIN, (pte_t)0xffffffffff << 12 | READ_ONLY_FLAGS), -XEN_EINVAL);
  check_answer("a frame past all RAM", map(FREE_LIN, (pte_t)NO_MFN << 12 | READ_ONLY_FLAGS), -XEN_EPERM);
  check_answer("a frame past 4 GiB", map(FREE_LIN, (pte_t)1 << 40 | READ_ONLY_FLAGS), -XEN_EPERM);
  check_answer("a frame of devices", map(FREE_LIN, 0x1000 | KERNEL_FLAGS), -XEN_EPERM);
  pte_t last = (pte_t)(memory_op(XENMEM_MAXIMUM_RAM_PAGE, 0) - 1) << 12;
  check_answer("RAM that is not the guest's", map(FREE_LIN, last | READ_ONLY_FLAGS), -XEN_EBUSY);
  check_answer("a bad flag first", map(FREE_LIN, last | READ_ONLY_FLAGS | PTE_PCD), -XEN_EINVAL);
  check(*l1_entry(FREE_LIN) == ((pte_t)start_info->shared_info | KERNEL_FLAGS), "a refused update changed the entry");
}
