/* An entry in use that points outside the guest's memory kills already when SET_PTE names it. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  map(first_directory, WINDOW, alloc_page(), KERNEL_FLAGS);
  peek(WINDOW);
  set_pte(first_directory, WINDOW, 0x70000000 | KERNEL_FLAGS | PTE_A | PTE_D);
  survived();
}
