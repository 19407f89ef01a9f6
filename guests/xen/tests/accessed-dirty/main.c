/* The processor marks entries accessed and dirty, in tables that the guest itself cannot write. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  pte_t *entry = l1_entry(FREE_LIN);
  set_entry(l2_entry(FREE_LIN), *l2_entry(FREE_LIN) & ~(pte_t)PTE_A);
  set_entry(entry, entry_for(page, PTE_P | PTE_RW));
  check_equal("a fresh entry", *entry & (PTE_A | PTE_D), 0);
  (void)peek(FREE_LIN);
  check_equal("after a read", *entry & (PTE_A | PTE_D), PTE_A);
  check_equal("the entry above", *l2_entry(FREE_LIN) & PTE_A, PTE_A);
  poke(FREE_LIN, 1);
  check_equal("after a write", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
  set_entry(entry, entry_for(page, PTE_P | PTE_RW));
  extended(MMUEXT_INVLPG_LOCAL, FREE_LIN, 0);
  (void)peek(FREE_LIN);
  check_equal("a read after the bits went and the page was flushed", *entry & (PTE_A | PTE_D), PTE_A);
  expect_read_only("the table", entry);
}
