/* A system call from ring 3 that finds no page under the stack of SET_STACK kills, as does any frame that cannot be pushed. */
#include "test.h"

#define WINDOW 0x40000000u

static u32 USER_CODE plus_one(u32 argument) { return argument + 1; }

void test_main(void) {
  setup();
  map(first_directory, WINDOW, alloc_page(), KERNEL_FLAGS);
  hcall3(LHCALL_SET_STACK, KERNEL_DS, WINDOW + PAGE_SIZE, 1);
  map(first_directory, WINDOW, 0, 0);
  set_pte(first_directory, WINDOW, 0);
  user_call(plus_one, 1);
  survived();
}
