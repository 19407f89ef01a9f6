/* A page fault's error code names ring 3 by its user bit, never ring 1; its address is in vcpu_info and in CR2. */
#include "test.h"

static u32 USER_CODE read_at(u32 address) { return *(volatile u32 *)address; }
static u32 USER_CODE write_at(u32 address) {
  *(volatile u32 *)address = 1;
  return 0;
}

static u32 read_cr2(void) {
  u32 value;
  __asm__ volatile("movl %%cr2, %0" : "=r"(value));
  return value;
}

void test_main(void) {
  setup();
  u8 *page = alloc_read_only();
  u32 gone = FREE_LIN + 0x123;
  map(FREE_LIN + PAGE_SIZE, entry_for(page, PTE_P | PTE_US));
  TRY("movl (%0), %%eax", : : "r"(gone) : "eax");
  expect_page_fault("ring 1 reads what is not there", gone, 0);
  check_equal("CR2", read_cr2(), gone);
  TRY("movl %%eax, (%0)", : : "r"(gone + 4));
  expect_page_fault("ring 1 writes what is not there", gone + 4, PFERR_WRITE);
  check_equal("CR2", read_cr2(), gone + 4);
  expect_read_only("ring 1 writes a read-only page", page);
  user_call(read_at, gone);
  expect_page_fault("ring 3 reads what is not there", gone, PFERR_USER);
  user_call(write_at, FREE_LIN + PAGE_SIZE);
  expect_page_fault("ring 3 writes a read-only page", FREE_LIN + PAGE_SIZE, PFERR_PRESENT | PFERR_WRITE | PFERR_USER);
  check_equal("ring 3 reads it", user_call(read_at, FREE_LIN + PAGE_SIZE), 0);
  user_call(read_at, (u32)page);
  expect_page_fault("ring 3 reads the kernel's page", (u32)page, PFERR_PRESENT | PFERR_USER);
  __asm__ volatile("movl %0, %%cr2" : : "r"(0x12345678));
  check_equal("CR2 as written", read_cr2(), 0x12345678);
  check_equal("vcpu_info's copy of it", vcpu->cr2, 0x12345678);
}
