/* An entry of the PDPT may have the present bit and no other flag. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 other = new_directory();
  *pte_of(other, WINDOW) = alloc_page() | KERNEL_FLAGS;
  *top_slot(other, WINDOW) |= PTE_RW | PTE_US;
  new_pgtable(other);
  peek(WINDOW);
  survived();
}
