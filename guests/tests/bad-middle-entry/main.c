/* A middle entry (PAE) with the page-size bit kills: the guest was told there are no large pages. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  *pte_of(first_directory, WINDOW) = 0;
  *(pte_t *)(*top_slot(first_directory, WINDOW) & PAGE_MASK) = 0x200000 | KERNEL_FLAGS | PTE_PS;
  peek(WINDOW);
  survived();
}
