/* A directory entry with the page-size bit kills: the guest was told there are no large pages. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  *top_slot(first_directory, WINDOW) = 0x400000 | KERNEL_FLAGS | PTE_PS;
  peek(WINDOW);
  survived();
}
