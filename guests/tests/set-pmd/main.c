/* SET_PMD (PAE): a changed middle entry is seen after the call. */
#include "test.h"

#define WINDOW 0x40000000u

#ifdef PAE
void test_main(void) {
  setup();
  u32 other = new_directory(), first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(first_directory, WINDOW, first, KERNEL_FLAGS);
  map(other, WINDOW, second, KERNEL_FLAGS);
  check_equal("before", peek(WINDOW), 1);
  u64 *middle = (u64 *)(*top_slot(first_directory, WINDOW) & PAGE_MASK);
  u64 *from = (u64 *)(*top_slot(other, WINDOW) & PAGE_MASK);
  middle[0] = from[0];
  hcall2(LHCALL_SET_PMD, middle, 0);
  check_equal("after", peek(WINDOW), 2);
}
#else
void test_main(void) {
  lg_init();
  skip("only PAE guests have middle directories");
}
#endif
