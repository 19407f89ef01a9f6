/* NEW_BASEPTR flushes: a change that no flush followed is seen at the latest when the tables come back into use. */
#include "test.h"

void test_main(void) {
  setup();
  u32 *one = alloc_page();
  u32 *two = alloc_page();
  *one = 1;
  *two = 2;
  map(FREE_LIN, entry_for(one, KERNEL_FLAGS));
  u32 own = mfn_of(l3_table());
  pte_t *tables = new_tables();
  check_answer("other tables", extended(MMUEXT_PIN_L3_TABLE, mfn_of(tables), 0), 0);
  check_equal("the page", peek(FREE_LIN), 1);
  pte_t *entry = l1_entry(FREE_LIN);
  set_entry(entry, entry_for(two, KERNEL_FLAGS));
  check_answer("away", extended(MMUEXT_NEW_BASEPTR, mfn_of(tables), 0), 0);
  check_answer("and back", extended(MMUEXT_NEW_BASEPTR, own, 0), 0);
  check_equal("the page, changed before", peek(FREE_LIN), 2);
  set_entry(entry, entry_for(one, KERNEL_FLAGS));
  check_answer("to the same", extended(MMUEXT_NEW_BASEPTR, own, 0), 0);
  check_equal("the page, changed before", peek(FREE_LIN), 1);
  check_answer("away", extended(MMUEXT_NEW_BASEPTR, mfn_of(tables), 0), 0);
  set_entry(entry, entry_for(two, KERNEL_FLAGS));
  check_answer("and back", extended(MMUEXT_NEW_BASEPTR, own, 0), 0);
  check_equal("the page, changed meanwhile", peek(FREE_LIN), 2);
}
