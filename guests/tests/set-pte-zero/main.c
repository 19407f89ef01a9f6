/* SET_PTE with an entry of 0 is how a guest says "flush this page": the entry in memory counts, not the argument. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(first_directory, WINDOW, first, KERNEL_FLAGS);
  check_equal("before", peek(WINDOW), 1);
  map(first_directory, WINDOW, second, KERNEL_FLAGS);
  set_pte(first_directory, WINDOW, 0);
  check_equal("after", peek(WINDOW), 2);
  map(first_directory, WINDOW, 0, 0);
  set_pte(first_directory, WINDOW, 0);
  TRY("movl (%0), %%eax", : : "r"(WINDOW) : "eax");
  expect_page_fault("a page taken away", WINDOW, 0);
}
