/* The error code of a page fault: present, write, user; cr2 is written to lguest_data first. */
#include "test.h"

#define ABSENT 0x40000000u
#define KERNEL_PAGE 0x40001000u
#define READ_ONLY 0x40002000u

static u32 USER_CODE read_word(u32 lin) { return *(volatile u32 *)lin; }

static u32 USER_CODE write_word(u32 lin) {
  *(volatile u32 *)lin = 1;
  return 0;
}

void test_main(void) {
  setup();
  map(first_directory, ABSENT, 0, 0);
  map(first_directory, KERNEL_PAGE, alloc_page(), KERNEL_FLAGS);
  map(first_directory, READ_ONLY, alloc_page(), PTE_P | PTE_US);
  TRY("movl (%0), %%eax", : : "r"(ABSENT + 12) : "eax");
  expect_page_fault("kernel read", ABSENT + 12, 0);
  TRY("movl $0, (%0)", : : "r"(ABSENT + 16));
  expect_page_fault("kernel write", ABSENT + 16, PFERR_WRITE);
  TRY("movl $0, (%0)", : : "r"(READ_ONLY));
  expect_page_fault("kernel write to a user's read-only page", READ_ONLY, PFERR_PRESENT | PFERR_WRITE);
  user_call(read_word, ABSENT + 20);
  expect_page_fault("user read", ABSENT + 20, PFERR_USER);
  user_call(write_word, ABSENT + 24);
  expect_page_fault("user write", ABSENT + 24, PFERR_USER | PFERR_WRITE);
  user_call(read_word, KERNEL_PAGE);
  expect_page_fault("user read of the kernel's page", KERNEL_PAGE, PFERR_USER | PFERR_PRESENT);
  user_call(write_word, KERNEL_PAGE);
  expect_page_fault("user write to the kernel's page", KERNEL_PAGE, PFERR_USER | PFERR_PRESENT | PFERR_WRITE);
  check_equal("a read that is allowed", user_call(read_word, READ_ONLY), 0);
  user_call(write_word, READ_ONLY);
  expect_page_fault("user write to a read-only page", READ_ONLY, PFERR_USER | PFERR_PRESENT | PFERR_WRITE);
  user_call((u32(*)(u32))KERNEL_PAGE, 0);
  expect_page_fault("user jump to the kernel's page", KERNEL_PAGE, PFERR_USER | PFERR_PRESENT);
}
