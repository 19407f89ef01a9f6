/* SET_PGD makes the Host forget what hung under that slot of the table. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 other = new_directory(), first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(first_directory, WINDOW, first, KERNEL_FLAGS);
  map(other, WINDOW, second, KERNEL_FLAGS);
  check_equal("before", peek(WINDOW), 1);
  *top_slot(first_directory, WINDOW) = *top_slot(other, WINDOW);
  hcall2(LHCALL_SET_PGD, first_directory, top_index(WINDOW));
  check_equal("after", peek(WINDOW), 2);
  *top_slot(first_directory, WINDOW) = 0;
  hcall2(LHCALL_SET_PGD, first_directory, top_index(WINDOW));
  TRY("movl (%0), %%eax", : : "r"(WINDOW) : "eax");
  expect_page_fault("an emptied slot", WINDOW, 0);
}
