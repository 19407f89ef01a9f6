/* A page that was a directory, was given up slot by slot and became another directory shows only the new mappings. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 directory = new_directory(), first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(directory, WINDOW, first, KERNEL_FLAGS);
  new_pgtable(directory);
  check_equal("before", peek(WINDOW), 1);
  new_pgtable(first_directory);
  *top_slot(directory, WINDOW) = 0;
  hcall2(LHCALL_SET_PGD, directory, top_index(WINDOW));
  map(directory, WINDOW, second, KERNEL_FLAGS);
  new_pgtable(directory);
  check_equal("after", peek(WINDOW), 2);
}
