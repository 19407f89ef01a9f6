/* A string instruction that faults in the middle has done exactly what came before, and goes on from there. */
#include "test.h"

#define WINDOW 0x40000000u

static u32 faults, seen_ecx, seen_edi;

static void fill(struct frame *frame) {
  faults++;
  if (faults == 1) {
    seen_ecx = frame->ecx;
    seen_edi = frame->edi;
  }
  map(first_directory, fault.cr2 & PAGE_MASK, alloc_page(), KERNEL_FLAGS);
}

void test_main(void) {
  setup();
  map(first_directory, WINDOW, alloc_page(), KERNEL_FLAGS);
  trap_hook = fill;
  u32 to = WINDOW + 100, count = 3 * PAGE_SIZE;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0x5a) : "memory");
  check_equal("faults", faults, 3);
  check_equal("EDI at the first", seen_edi, WINDOW + PAGE_SIZE);
  check_equal("ECX at the first", seen_ecx, 3 * PAGE_SIZE - (PAGE_SIZE - 100));
  check_equal("EDI at the end", to, WINDOW + 100 + 3 * PAGE_SIZE);
  check_equal("ECX at the end", count, 0);
  for (u32 lin = WINDOW + 100; lin < WINDOW + 100 + 3 * PAGE_SIZE; lin++)
    if (*(volatile u8 *)lin != 0x5a)
      failure("the byte at %p is %x", (void *)lin, *(volatile u8 *)lin);
}
