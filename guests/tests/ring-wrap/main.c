/* The ring goes round: the Host's cursor stays with the guest's over many times 64 calls, also 64 at once. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 pages[2] = {alloc_page(), alloc_page()};
  poke(pages[0], 0);
  poke(pages[1], 1);
  for (u32 batch = 1; batch <= LG_RING_SLOTS; batch += 3) {
    for (u32 i = 0; i < batch; i++) {
      u32 entry = pages[(batch + i) & 1] | KERNEL_FLAGS;
      map(first_directory, WINDOW, entry & PAGE_MASK, KERNEL_FLAGS);
      ring_add(LHCALL_SET_PTE, first_directory, WINDOW, entry, 0);
    }
    hcall0(LHCALL_FLUSH_ASYNC);
    check_equal("the page behind the window", peek(WINDOW), (2 * batch - 1) & 1);
    for (u32 i = 0; i < LG_RING_SLOTS; i++)
      check_equal("a slot's status", lguest_data.hcall_status[i], LG_HCALL_FREE);
  }
}
