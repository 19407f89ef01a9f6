/* The processor's bits in the guest's own entries: a read sets A, a write A and D, and only then. */
#include "test.h"

#define WINDOW 0x40000000u

static u32 bits(u32 lin) { return (u32)*pte_of(first_directory, lin) & (PTE_A | PTE_D); }

void test_main(void) {
  setup();
  for (u32 i = 0; i < 3; i++)
    map(first_directory, WINDOW + i * PAGE_SIZE, alloc_page(), KERNEL_FLAGS);
  check_equal("untouched", bits(WINDOW), 0);
  peek(WINDOW);
  check_equal("after a read", bits(WINDOW), PTE_A);
  peek(WINDOW + 8);
  check_equal("after another read", bits(WINDOW), PTE_A);
  poke(WINDOW, 1);
  check_equal("after a write", bits(WINDOW), PTE_A | PTE_D);
  poke(WINDOW + PAGE_SIZE, 1);
  check_equal("written first", bits(WINDOW + PAGE_SIZE), PTE_A | PTE_D);
  check_equal("the page never touched", bits(WINDOW + 2 * PAGE_SIZE), 0);

  map(first_directory, WINDOW, (u32)*pte_of(first_directory, WINDOW) & PAGE_MASK, KERNEL_FLAGS);
  set_pte(first_directory, WINDOW, *pte_of(first_directory, WINDOW));
  peek(WINDOW);
  check_equal("cleaned, told, read", bits(WINDOW), PTE_A);
  poke(WINDOW, 2);
  check_equal("cleaned, told, written", bits(WINDOW), PTE_A | PTE_D);
}
