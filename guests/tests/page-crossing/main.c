/* An access over a page boundary faults for the half that is missing, and has then changed neither half. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 first = alloc_page(), second = alloc_page();
  map(first_directory, WINDOW, first, KERNEL_FLAGS);
  map(first_directory, WINDOW + PAGE_SIZE, 0, 0);
  poke(first + PAGE_SIZE - 4, 0x11223344);
  TRY("movl $-1, (%0)", : : "r"(WINDOW + PAGE_SIZE - 2));
  expect_page_fault("the second half missing", WINDOW + PAGE_SIZE, PFERR_WRITE);
  check_equal("the first half", peek(first + PAGE_SIZE - 4), 0x11223344);
  map(first_directory, WINDOW + PAGE_SIZE, second, KERNEL_FLAGS);
  TRY("movl $0xaabbccdd, (%0)", : : "r"(WINDOW + PAGE_SIZE - 2));
  expect_no_fault("both halves there");
  check_equal("the first half", peek(first + PAGE_SIZE - 4), 0xccdd3344);
  check_equal("the second half", peek(second) & 0xffff, 0xaabb);
  check_equal("read back", peek(WINDOW + PAGE_SIZE - 2), 0xaabbccdd);
}
