/*
 * A page that becomes present needs no call: after a fault the entry is filled with a plain store and the access is
 * simply tried again.
 */
#include "test.h"

#define WINDOW 0x40000000u

static u32 filled;

static void fill(struct frame *frame) {
  (void)frame;
  if (fault.vector != VECTOR_PF)
    error("vector %u at %p", fault.vector, (void *)fault.eip);
  u32 page = alloc_page();
  poke(page, fault.cr2);
  map(first_directory, fault.cr2 & PAGE_MASK, page, KERNEL_FLAGS);
  filled++;
}

void test_main(void) {
  setup();
  TRY("movl (%0), %%eax", : : "r"(WINDOW) : "eax");
  expect_page_fault("a page that is not there", WINDOW, 0);
  trap_hook = fill;
  for (u32 i = 0; i < 20; i++)
    check_equal("a page filled on demand", peek(WINDOW + i * PAGE_SIZE), WINDOW + i * PAGE_SIZE);
  check_equal("faults", filled, 20);
}
