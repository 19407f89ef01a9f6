/* What an L3 entry may say: its flags are free but for some; the last slot is needed, has a table of its own, and never changes. */
#include "test.h"

static pte_t *table;

static void check_flags(const char *what, pte_t flags, s32 answer) {
  check_answer(what, set_entry(l3_table() + 1, entry_for(table, PTE_P) | flags), answer);
}

void test_main(void) {
  setup();
  pte_t *l3 = l3_table();
  table = alloc_read_only();
  check_flags("bare", 0, 0);
  check_flags("what other page tables have", PTE_RW | PTE_US | PTE_A | PTE_D, 0);
  check_flags("a superpage", PTE_PS, -XEN_EINVAL);
  check_flags("global", PTE_G, -XEN_EINVAL);
  check_flags("written through", PTE_PWT, -XEN_EINVAL);
  check_answer("the last slot, as it is", set_entry(l3 + 3, l3[3]), -XEN_EINVAL);
  check_answer("the last slot, gone", set_entry(l3 + 3, 0), -XEN_EINVAL);
  check_answer("a slot past the four", set_entry(l3 + 4, entry_for(table, PTE_P)), -XEN_EINVAL);
  check_answer("the table itself", set_entry(l3 + 2, entry_for(l3, PTE_P)), -XEN_EINVAL);
  s32 answer = set_entry(l3 + 2, l3[3]);
  check(answer < 0, "the last slot's table is taken in another with %d", answer);
  check_answer("one table in two slots", set_entry(l3 + 2, entry_for(table, PTE_P)), 0);
  check_answer("no table", set_entry(l3 + 2, 0), 0);
  pte_t *fresh = new_tables();
  check_answer("pinning another", extended(MMUEXT_PIN_L3_TABLE, mfn_of(fresh), 0), 0);
  pte_t *sharing = alloc_page();
  memcpy(sharing, fresh, 32);
  set_access(sharing, READ_ONLY_FLAGS);
  check_answer("pinning one that shares its last table", extended(MMUEXT_PIN_L3_TABLE, mfn_of(sharing), 0), -XEN_EINVAL);
  pte_t *empty = alloc_page();
  empty[0] = l3[0];
  set_access(empty, READ_ONLY_FLAGS);
  check_answer("pinning one without", extended(MMUEXT_PIN_L3_TABLE, mfn_of(empty), 0), -XEN_EINVAL);
  pte_t *long_one = alloc_page();
  for (u32 i = 0; i < 3; i++)
    long_one[i] = l3[0];
  long_one[3] = entry_for(alloc_read_only(), PTE_P);
  long_one[4] = 0x1234567;
  set_access(long_one, READ_ONLY_FLAGS);
  check_answer("pinning one with more than four", extended(MMUEXT_PIN_L3_TABLE, mfn_of(long_one), 0), 0);
  check(long_one[4] == 0, "the fifth entry is %llx", long_one[4]);
}
