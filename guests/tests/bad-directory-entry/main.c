/* A directory entry with the page-size bit kills: the guest was told there are no large pages. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
#ifdef PAE
  *pte_of(first_directory, WINDOW) = 0;
  *(u64 *)(*top_slot(first_directory, WINDOW) & PAGE_MASK) = 0x200000 | KERNEL_FLAGS | PTE_PS;
#else
  *top_slot(first_directory, WINDOW) = 0x400000 | KERNEL_FLAGS | PTE_PS;
#endif
  peek(WINDOW);
  survived();
}
