/* What an L2 entry may say: no superpages and no cache bits, a frame that is good as an L1 table, and nothing in Xen's slots. */
#include "test.h"

static pte_t *table;

static void check_flags(const char *what, pte_t flags, s32 answer) {
  check_answer(what, set_entry(l2_entry(FREE_LIN), entry_for(table, PTE_P) | flags), answer);
  set_entry(l2_entry(FREE_LIN), 0);
}

void test_main(void) {
  setup();
  table = alloc_read_only();
  check_flags("bare", 0, 0);
  check_flags("all that may be", PTE_RW | PTE_US | PTE_A | PTE_D | 0xe00, 0);
  check_flags("a superpage", PTE_PS, -XEN_EINVAL);
  check_flags("global", PTE_G, -XEN_EINVAL);
  check_flags("written through", PTE_PWT, -XEN_EINVAL);
  check_flags("uncached", PTE_PCD, -XEN_EINVAL);
  u8 *writable = alloc_page();
  s32 answer = set_entry(l2_entry(FREE_LIN), entry_for(writable, TABLE_FLAGS));
  check(answer < 0, "a writable page becomes an L1 table with %d", answer);
  answer = set_entry(l2_entry(FREE_LIN), entry_for(l3_table(), TABLE_FLAGS));
  check(answer < 0, "an L3 table becomes an L1 table with %d", answer);
  pte_t *bad = alloc_page();
  bad[7] = entry_for(bad, PTE_P | PTE_PCD);
  set_access(bad, READ_ONLY_FLAGS);
  answer = set_entry(l2_entry(FREE_LIN), entry_for(bad, TABLE_FLAGS));
  check(answer < 0, "a table with a bad entry is taken with %d", answer);
  pte_t *selfish = alloc_page();
  selfish[3] = entry_for(selfish, KERNEL_FLAGS);
  set_access(selfish, READ_ONLY_FLAGS);
  answer = set_entry(l2_entry(FREE_LIN), entry_for(selfish, TABLE_FLAGS));
  check(answer < 0, "a table that maps itself writable is taken with %d", answer);
  check_answer("a slot of Xen's", set_entry(l2_entry(HYPERVISOR_VIRT_START), entry_for(table, TABLE_FLAGS)), -XEN_EPERM);
  check_answer("clearing one", set_entry(l2_entry(0xffe00000), 0), -XEN_EPERM);
  check_answer("the slot below", set_entry(l2_entry(HYPERVISOR_VIRT_START - PAGE_SIZE), entry_for(table, TABLE_FLAGS)), 0);
  check_answer("one table in two slots", set_entry(l2_entry(FREE_LIN), entry_for(table, TABLE_FLAGS)), 0);
}
