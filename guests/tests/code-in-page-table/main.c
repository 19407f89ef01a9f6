/* Accessed and dirty bits are stores like any other: code that lies in a page table runs as the processor's writes left it. */
#include "test.h"

#define LIN 0x40000000u
#define SLOT 4

void test_main(void) {
  setup();
  map(first_directory, LIN, alloc_page(), KERNEL_FLAGS);
  u8 *table = (u8 *)((u32)pte_of(first_directory, LIN) & PAGE_MASK);
  u8 *entry = table + SLOT * 4;
  /* mov imm32, %eax with the entry as its immediate, then ret: the entries around it are not in use. */
  u32 page = alloc_page();
  entry[-1] = 0xb8;
  *(volatile u32 *)entry = page | KERNEL_FLAGS;
  entry[4] = 0xc3;
  u32 (*read_entry)(void) = (u32(*)(void))(entry - 1);
  check_equal("untouched", read_entry(), page | KERNEL_FLAGS);
  peek(LIN + SLOT * PAGE_SIZE);
  check_equal("after a read", read_entry(), page | KERNEL_FLAGS | PTE_A);
  poke(LIN + SLOT * PAGE_SIZE, 1);
  check_equal("after a write", read_entry(), page | KERNEL_FLAGS | PTE_A | PTE_D);

  /* The same in one run of straight code: the read sets the bit in the operand of the instruction right behind it. */
  *(volatile u32 *)entry = page | KERNEL_FLAGS;
  hcall1(LHCALL_FLUSH_TLB, 1);
  u32 lin = LIN + SLOT * PAGE_SIZE;
  entry[-7] = 0x8b; /* mov lin, %ecx */
  entry[-6] = 0x0d;
  memcpy(entry - 5, &lin, 4);
  u32 (*touch_and_read)(void) = (u32(*)(void))(entry - 7);
  check_equal("touched just before", touch_and_read(), page | KERNEL_FLAGS | PTE_A);
}
