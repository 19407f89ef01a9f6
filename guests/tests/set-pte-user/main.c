/*
 * SET_PTE below kernel_address acts on the named table: the new page is seen there on the next access, a sibling with
 * another page at the same address is not disturbed, and a table the Host has never seen is ignored.
 */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 one = new_directory(), two = new_directory(), unknown = new_directory();
  u32 pages[3];
  for (u32 i = 0; i < 3; i++)
    poke(pages[i] = alloc_page(), i + 1);
  map(one, WINDOW, pages[0], KERNEL_FLAGS);
  map(two, WINDOW, pages[1], KERNEL_FLAGS);
  new_pgtable(two);
  check_equal("two before", peek(WINDOW), 2);
  new_pgtable(one);
  check_equal("one before", peek(WINDOW), 1);
  map(one, WINDOW, pages[2], KERNEL_FLAGS);
  set_pte(one, WINDOW, pages[2] | KERNEL_FLAGS);
  check_equal("one after", peek(WINDOW), 3);
  set_pte(unknown, WINDOW, pages[0] | KERNEL_FLAGS);
  check_equal("one after a call about a stranger", peek(WINDOW), 3);
  new_pgtable(two);
  check_equal("two after", peek(WINDOW), 2);
}
