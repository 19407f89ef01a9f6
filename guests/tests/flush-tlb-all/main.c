/* FLUSH_TLB(1): changed mappings are seen everywhere, in both halves and in tables that are not the current one. */
#include "test.h"

#define LOW 0x40000000u
#define HIGH (KERNEL_HALF + 0x400000u)

void test_main(void) {
  setup();
  u32 other = new_directory(), first = alloc_page(), second = alloc_page();
  poke(first, 1);
  poke(second, 2);
  map(first_directory, HIGH, first, KERNEL_FLAGS);
  *top_slot(other, HIGH) = *top_slot(first_directory, HIGH);
  map(other, LOW, first, KERNEL_FLAGS);
  new_pgtable(other);
  check_equal("low before", peek(LOW), 1);
  check_equal("high before", peek(HIGH), 1);
  new_pgtable(first_directory);
  check_equal("high before, first table", peek(HIGH), 1);
  map(other, LOW, second, KERNEL_FLAGS);
  map(first_directory, HIGH, second, KERNEL_FLAGS);
  flush_tlb(1);
  check_equal("high after", peek(HIGH), 2);
  new_pgtable(other);
  check_equal("low after, other table", peek(LOW), 2);
  check_equal("high after, other table", peek(HIGH), 2);
}
