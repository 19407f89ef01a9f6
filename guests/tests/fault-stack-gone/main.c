/* A page fault from ring 3 whose own frame cannot be pushed kills: there is no double fault in this interface. */
#include "test.h"

#define WINDOW 0x40000000u

static u32 USER_CODE load(u32 at) { return *(volatile u32 *)at; }

void test_main(void) {
  setup();
  map(first_directory, WINDOW, alloc_page(), KERNEL_FLAGS);
  /* The upper words of the frame still find a page, the lower ones do not. */
  map(first_directory, WINDOW + PAGE_SIZE, alloc_page(), KERNEL_FLAGS);
  hcall3(LHCALL_SET_STACK, KERNEL_DS, WINDOW + PAGE_SIZE + 12, 2);
  map(first_directory, WINDOW, 0, 0);
  set_pte(first_directory, WINDOW, 0);
  user_call(load, 0x50000000);
  survived();
}
