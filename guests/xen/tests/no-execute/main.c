/* An entry with the top bit keeps its page from being executed: the fault says that it was a fetch. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  page[0] = 0xc3;
  check_answer("a page to execute", map(FREE_LIN, entry_for(page, KERNEL_FLAGS)), 0);
  TRY("call *%0", : : "r"(FREE_LIN) : "memory");
  expect_no_fault("its code");
  check_answer("not to execute", map(FREE_LIN, entry_for(page, KERNEL_FLAGS) | 1ull << 63), 0);
  check_equal("it can be read", *(u8 *)FREE_LIN, 0xc3);
  u32 kept;
  TRY("movl %%esp, %0; call *%1", : "=m"(kept) : "r"(FREE_LIN) : "memory");
  __asm__ volatile("movl %0, %%esp" : : "m"(kept) : "memory");
  expect_page_fault("its code", FREE_LIN, PFERR_PRESENT | PFERR_FETCH);
}
