/* A frame is written with the guest's rights: a page table is no stack. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_read_only();
  __asm__ volatile("movl %0, %%esp; ud2" : : "r"(page + 0x800));
  survived();
}
