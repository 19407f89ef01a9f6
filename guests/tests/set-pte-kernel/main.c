/* SET_PTE at or above kernel_address counts for every table: all of them share the kernel's half. */
#include "test.h"

#define WINDOW (KERNEL_HALF + 0x400000u)

void test_main(void) {
  setup();
  u32 directories[3], first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(first_directory, WINDOW, first, KERNEL_FLAGS);
  for (u32 i = 0; i < 3; i++) {
    directories[i] = new_directory();
    *top_slot(directories[i], WINDOW) = *top_slot(first_directory, WINDOW);
    new_pgtable(directories[i]);
    check_equal("before", peek(WINDOW), 1);
  }
  map(first_directory, WINDOW, second, KERNEL_FLAGS);
  set_pte(directories[0], WINDOW, second | KERNEL_FLAGS);
  for (u32 i = 0; i < 3; i++) {
    new_pgtable(directories[i]);
    check_equal("after", peek(WINDOW), 2);
  }
}
