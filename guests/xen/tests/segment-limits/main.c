/* Segments of the guest's own have their limits, at ring 1 and at ring 3: beyond them is #GP, or #SS for the stack. */
#include "test.h"

static u64 table[512] __attribute__((aligned(4096)));

static u32 USER_CODE read_fs(u32 address) {
  u32 value;
  __asm__ volatile("movw %w2, %%fs; movl %%fs:(%1), %0" : "=r"(value) : "r"(address), "r"(4 << 3 | 3));
  return value;
}

void test_main(void) {
  setup();
  u32 *page = alloc_page();
  set_access(page, USER_FLAGS);
  page[3] = 77;
  page[4] = 88;
  table[4] = descriptor((u32)page, 15, 0xf3, 4);
  table[5] = descriptor(0, 0xfffff, 0xbb, 0xc);
  set_access(table, READ_ONLY_FLAGS);
  u32 frame = mfn_of(table), value = 0;
  check_answer("set_gdt", set_gdt(&frame, 512), 0);
  TRY("movw %w1, %%fs; movl %%fs:12, %%eax; movl %%eax, %0", : "=m"(value) : "r"(4 << 3 | 1) : "eax");
  expect_no_fault("the last word of the segment");
  check_equal("the word", value, 77);
  TRY("movl %%fs:13, %%eax", : : : "eax");
  expect_fault("one byte past it", VECTOR_GP, 0);
  check_equal("ring 3 reads the last word", user_call(read_fs, 12), 77);
  user_call(read_fs, 16);
  expect_fault("ring 3 past it", VECTOR_GP, 0);
  TRY("movl %%cs:(%0), %%eax; movw %w1, %%fs; movl %%fs:(%0), %%eax", : : "r"(page), "r"(5 << 3 | 1) : "eax");
  expect_no_fault("code read as data");
  TRY("movl %%eax, %%fs:(%0)", : : "r"(page) : "eax");
  expect_fault("code written", VECTOR_GP, 0);
}
