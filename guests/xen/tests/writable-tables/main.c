/* With the assist a store of the kernel's to an L1 table in use is a checked update; a bad one faults, and nothing is changed. */
#include "test.h"

void test_main(void) {
  setup();
  u32 *page = alloc_page();
  *page = 55;
  pte_t *entry = l1_entry(FREE_LIN);
  check_answer("asking for it", vm_assist(VMASST_CMD_ENABLE, VMASST_TYPE_WRITABLE_PAGETABLES), 0);
  /* The upper half first, then the lower one, as a kernel without 8-byte stores does it. */
  ((volatile u32 *)entry)[1] = (u32)(entry_for(page, KERNEL_FLAGS) >> 32);
  ((volatile u32 *)entry)[0] = (u32)entry_for(page, KERNEL_FLAGS);
  check_equal("what is mapped", peek(FREE_LIN), 55);
  TRY("lock; btrl $1, (%0)", : : "r"(entry) : "memory");
  expect_no_fault("a locked change");
  extended(MMUEXT_INVLPG_LOCAL, FREE_LIN, 0);
  expect_read_only("the page", (void *)FREE_LIN);
  pte_t wanted = entry_for(page, KERNEL_FLAGS), old = *entry;
  TRY("lock; cmpxchg8b (%0)", : : "r"(entry), "a"((u32)old), "d"((u32)(old >> 32)), "b"((u32)wanted), "c"((u32)(wanted >> 32)) : "memory");
  expect_no_fault("CMPXCHG8B");
  check(*entry == wanted, "the entry is %llx, wanted %llx", *entry, wanted);
  TRY("movl %1, (%0)", : : "r"(entry), "r"((u32)entry_for(l3_table(), KERNEL_FLAGS)) : "memory");
  expect_page_fault("a store that maps a table writable", (u32)entry, PFERR_PRESENT | PFERR_WRITE);
  check(*entry == wanted, "the entry is %llx, wanted %llx", *entry, wanted);
  TRY("xorl %%eax, %%eax; xchgl %%eax, (%0)", : : "r"(entry) : "eax", "memory");
  expect_no_fault("XCHG");
  check_equal("the entry", *(u32 *)entry, 0);
  TRY("movl $0, (%0)", : : "r"(l2_table(FREE_LIN)) : "memory");
  expect_page_fault("a store to an L2 table", (u32)l2_table(FREE_LIN), PFERR_PRESENT | PFERR_WRITE);
  check_answer("giving it up", vm_assist(VMASST_CMD_DISABLE, VMASST_TYPE_WRITABLE_PAGETABLES), 0);
  expect_read_only("the table", entry);
}
