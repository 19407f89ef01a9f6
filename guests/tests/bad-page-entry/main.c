/* A page entry with bit 7 kills. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  map(first_directory, WINDOW, alloc_page(), KERNEL_FLAGS | PTE_PS);
  peek(WINDOW);
  survived();
}
