/*
 * The Host remembers four directories and replaces them at will; however many there are, each shows its own memory,
 * writes included.
 */
#include "test.h"

#define COUNT 9
#define WINDOW 0x40000000u

void test_main(void) {
  u32 directories[COUNT], pages[COUNT];
  setup();
  for (u32 i = 0; i < COUNT; i++) {
    directories[i] = new_directory();
    pages[i] = alloc_page();
    poke(pages[i], 100 + i);
    map(directories[i], WINDOW, pages[i], KERNEL_FLAGS);
  }
  for (u32 round = 0; round < 200; round++) {
    u32 i = (round * 7 + round / 5) % COUNT;
    new_pgtable(directories[i]);
    check_equal("the word behind the window", peek(WINDOW), 100 + i + (peek(pages[i] + 4) << 8));
    poke(WINDOW + 4, peek(WINDOW + 4) + 1);
    poke(WINDOW, 100 + i + (peek(pages[i] + 4) << 8));
  }
}
