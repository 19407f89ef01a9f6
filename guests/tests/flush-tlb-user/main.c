/* FLUSH_TLB(0): changed mappings below kernel_address are seen in the current table. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 first = alloc_page(), second = alloc_page();
  for (u32 i = 0; i < 16; i++)
    map(first_directory, WINDOW + i * PAGE_SIZE, first, KERNEL_FLAGS);
  poke(first, 1);
  poke(second, 2);
  for (u32 i = 0; i < 16; i++)
    check_equal("before", peek(WINDOW + i * PAGE_SIZE), 1);
  for (u32 i = 0; i < 16; i++)
    map(first_directory, WINDOW + i * PAGE_SIZE, second, KERNEL_FLAGS);
  flush_tlb(0);
  for (u32 i = 0; i < 16; i++)
    check_equal("after", peek(WINDOW + i * PAGE_SIZE), 2);
}
