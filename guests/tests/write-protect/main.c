/* Read-only pages hold at ring 1 too (CR0.WP), and the error code says present and write. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  u32 page = alloc_page();
  poke(page, 7);
  map(first_directory, WINDOW, page, PTE_P);
  check_equal("a read", peek(WINDOW), 7);
  TRY("movl $9, (%0)", : : "r"(WINDOW + 8));
  expect_page_fault("a write", WINDOW + 8, PFERR_PRESENT | PFERR_WRITE);
  TRY("lock; incl (%0)", : : "r"(WINDOW));
  expect_page_fault("a read-modify-write", WINDOW, PFERR_PRESENT | PFERR_WRITE);
  check_equal("the word", peek(page), 7);
  map(first_directory, WINDOW, page, KERNEL_FLAGS);
  set_pte(first_directory, WINDOW, page | KERNEL_FLAGS);
  TRY("incl (%0)", : : "r"(WINDOW));
  expect_no_fault("a write after the entry allowed it");
  check_equal("the word", peek(page), 8);
}
