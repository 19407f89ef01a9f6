/* stack_switch says where the next trap from ring 3 goes, with at least RPL 1 in its selector; traps of ring 1 do not ask. */
#include "test.h"

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument;
}

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  check_answer("another stack", stack_switch(KERNEL_DS & ~3u, (u32)page + 0x800), 0);
  user_call(trap_here, 0);
  expect_fault("ud2 at ring 3", VECTOR_UD, 0);
  check_equal("the end of the frame", fault.frame + 20, (u32)page + 0x800);
  check_equal("SS of a stack registered with RPL 0", fault.handler_ss, KERNEL_DS);
  TRY("ud2", :);
  check((fault.frame & PAGE_MASK) != (u32)page, "a trap of ring 1 moved to the stack of ring 3's traps");
}
