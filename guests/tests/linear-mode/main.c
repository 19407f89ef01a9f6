/*
 * Until the first NEW_PGTABLE every linear address is the physical one, RAM is writable to its last byte, and no table
 * is looked at. NEW_PGTABLE ends that at once: the next instruction, at the same low EIP, runs under the new table.
 */
#include "test.h"

#define WINDOW 0x3f000000u

void test_main(void) {
  lg_init();
  u32 last = ram_bytes() - 4;
  for (u32 lin = 0x400000; lin < ram_bytes(); lin += 0x100000) {
    poke(lin, lin ^ 0x5a5a5a5a);
    check_equal("RAM", peek(lin), lin ^ 0x5a5a5a5a);
  }
  poke(last, 0x12345678);
  check_equal("the last word of RAM", peek(last), 0x12345678);

  paging_init();
  traps_init();
  check_equal("the same word through a table", peek(last), 0x12345678);
  TRY("movl (%0), %%eax", : : "r"(WINDOW) : "eax");
  expect_page_fault("an address outside the table", WINDOW, 0);
}
