/* set_trap_table: the entries up to the one without an address replace what was there; the others stay as they were. */
#include "test.h"

static u32 cs_of_handler;

static void note_cs(struct frame *frame) {
  cs_of_handler = fault.handler_cs;
  frame->eip += 2;
}

void test_main(void) {
  setup();
  struct trap_info table[4] = {trap_entry(VECTOR_UD, 0)};
  table[0].cs = KERNEL_CS & ~3u;
  table[2] = trap_entry(VECTOR_DE, 0);
  table[2].address = 0xdeadbeef;
  check_answer("a table of one", set_trap_table(table), 0);
  trap_hook = note_cs;
  __asm__ volatile("ud2");
  trap_hook = NULL;
  check_equal("CS of a handler registered with RPL 0", cs_of_handler, KERNEL_CS);
  TRY("divl %0", : : "r"(0) : "eax", "edx");
  expect_fault("an entry behind the end", VECTOR_DE, 0);
  check_answer("an unmapped table", set_trap_table((void *)FREE_LIN), -XEN_EFAULT);
  check_answer("a table in Xen's area", set_trap_table((void *)HYPERVISOR_VIRT_START), -XEN_EFAULT);
  TRY("ud2", :);
  expect_fault("after bad pointers", VECTOR_UD, 0);
  /* The first entry is good, the second cannot be read: the first counts. */
  u8 *page = alloc_page();
  map(FREE_LIN, entry_for(page, KERNEL_FLAGS));
  struct trap_info *last = (struct trap_info *)(FREE_LIN + PAGE_SIZE) - 1;
  *last = trap_entry(0x20, 3);
  last->address = (u32)trap_stubs + 16 * 0x21;
  check_answer("a table that ends too early", set_trap_table(last), -XEN_EFAULT);
  TRY("int $0x20", :);
  expect_fault("the entry before the end", 0x21, 0);
}
