/* MMU_PT_UPDATE_PRESERVE_AD keeps the accessed and dirty bits that an entry has; a normal update takes them as given. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  pte_t *entry = l1_entry(FREE_LIN);
  check_answer("a clean entry", set_entry(entry, entry_for(page, PTE_P | PTE_RW)), 0);
  poke(FREE_LIN, 1);
  check_equal("after a write", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
  check_answer("an update that keeps them", update(machine(entry) | MMU_PT_UPDATE_PRESERVE_AD, entry_for(page, PTE_P)), 0);
  check_equal("the entry", *entry & 0xfff, PTE_P | PTE_A | PTE_D);
  check_answer("one that does not", set_entry(entry, entry_for(page, PTE_P)), 0);
  check_equal("the entry", *entry & 0xfff, PTE_P);
  check_answer("one that adds", update(machine(entry) | MMU_PT_UPDATE_PRESERVE_AD, entry_for(page, PTE_P | PTE_A)), 0);
  check_equal("the entry", *entry & 0xfff, PTE_P | PTE_A);
  check_answer("without translation, which changes nothing", update(machine(entry) | MMU_PT_UPDATE_NO_TRANSLATE, 0), 0);
  check(*entry == 0, "the entry is %llx", *entry);
}
