/* Page tables may be looked at through themselves, read-only: an L2 table as an L1 table of its own or of another. */
#include "test.h"

void test_main(void) {
  setup();
  pte_t *l2 = l2_table(FREE_LIN);
  pte_t *slot = l2 + 5;
  s32 answer = set_entry(slot, entry_for(l2, TABLE_FLAGS));
  check(answer < 0, "a table in itself, writable, is taken with %d", answer);
  check_answer("a table in itself", set_entry(slot, entry_for(l2, PTE_P | PTE_A)), 0);
  u32 window = FREE_LIN + 5 * 0x200000;
  pte_t *view = (pte_t *)(window + 5 * PAGE_SIZE);
  check(view[5] == *slot, "the table seen through itself has %llx, wanted %llx", view[5], *slot);
  expect_read_only("the table through itself", view);
  check_answer("no more", set_entry(slot, 0), 0);
  pte_t *other = alloc_read_only();
  check_answer("another table", set_entry(l3_table() + 2, entry_for(other, PTE_P)), 0);
  check_answer("one table in another", set_entry(other + 1, entry_for(l2, PTE_P | PTE_A)), 0);
  check_answer("no more", set_entry(other + 1, 0), 0);
  check_answer("the L3 table in an L2 table", set_entry(slot, entry_for(l3_table(), PTE_P | PTE_A)), -XEN_EINVAL);
}
