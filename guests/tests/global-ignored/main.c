/* Bit 8 of a page entry is accepted and means nothing: another directory shows its own page. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 other = new_directory(), first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(first_directory, WINDOW, first, KERNEL_FLAGS | PTE_G);
  map(other, WINDOW, second, KERNEL_FLAGS | PTE_G);
  for (u32 i = 0; i < 3; i++) {
    new_pgtable(first_directory);
    check_equal("first", peek(WINDOW), 1);
    new_pgtable(other);
    check_equal("other", peek(WINDOW), 2);
  }
}
