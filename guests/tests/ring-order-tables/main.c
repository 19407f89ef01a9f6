/*
 * The order of ring and trap holds for page tables too: a queued switch of directory is overtaken by nothing, and the next
 * access sees the last table named.
 */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 directories[2], pages[2];
  for (u32 i = 0; i < 2; i++) {
    directories[i] = new_directory();
    poke(pages[i] = alloc_page(), i + 1);
    map(directories[i], WINDOW, pages[i], KERNEL_FLAGS);
  }
  ring_add(LHCALL_NEW_PGTABLE, directories[1], 0, 0, 0);
  ring_add(LHCALL_NEW_PGTABLE, directories[0], 0, 0, 0);
  hcall0(LHCALL_FLUSH_ASYNC);
  check_equal("two queued switches", peek(WINDOW), 1);
  ring_add(LHCALL_NEW_PGTABLE, directories[0], 0, 0, 0);
  new_pgtable(directories[1]);
  check_equal("a queued switch, then a trapping one", peek(WINDOW), 2);
  map(directories[1], WINDOW, pages[0], KERNEL_FLAGS);
  ring_add(LHCALL_NEW_PGTABLE, directories[0], 0, 0, 0);
  ring_add(LHCALL_SET_PTE, directories[1], WINDOW, pages[0] | KERNEL_FLAGS, 0);
  ring_add(LHCALL_NEW_PGTABLE, directories[1], 0, 0, 0);
  hcall0(LHCALL_FLUSH_ASYNC);
  check_equal("an entry changed while its table was not current", peek(WINDOW), 1);
}
