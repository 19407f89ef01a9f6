/* Page tables that two vCPUs share: flushes reach the vCPUs that are named, and no vCPU writes to what has become a table. */
#include "test.h"

static u32 *one, *two;
static volatile u32 order, answer;
static volatile u32 *const window = (volatile u32 *)FREE_LIN;

enum { READ = 1, WRITE, LEAVE };

static void obeys(void) {
  for (;;) {
    while (!order)
      sched_op(SCHEDOP_YIELD, NULL);
    if (order == LEAVE)
      return;
    if (order == READ)
      answer = *window;
    else {
      TRY("movl %1, (%0)", : : "r"(window), "r"(7) : "memory");
      answer = fault.vector;
    }
    order = 0;
  }
}

static u32 ask(u32 what) {
  order = what;
  wait_until(&order, 0);
  return answer;
}

static void check_flush(const char *what, u32 command, u32 arg1, u32 arg2) {
  pte_t *entry = l1_entry(FREE_LIN);
  set_entry(entry, entry_for(one, KERNEL_FLAGS));
  extended(MMUEXT_TLB_FLUSH_ALL, 0, 0);
  check_equal("the first page", ask(READ), 1);
  set_entry(entry, entry_for(two, KERNEL_FLAGS));
  check_answer(what, extended(command, arg1, arg2), 0);
  check_equal(what, ask(READ), 2);
}

void test_main(void) {
  setup();
  one = alloc_page();
  two = alloc_page();
  *one = 1;
  *two = 2;
  map(FREE_LIN, entry_for(one, KERNEL_FLAGS));
  second_start(obeys);
  u32 second_only = 2;
  check_flush("TLB_FLUSH_MULTI", MMUEXT_TLB_FLUSH_MULTI, 0, (u32)&second_only);
  check_flush("INVLPG_MULTI", MMUEXT_INVLPG_MULTI, FREE_LIN, (u32)&second_only);
  check_flush("TLB_FLUSH_ALL", MMUEXT_TLB_FLUSH_ALL, 0, 0);
  check_flush("INVLPG_ALL", MMUEXT_INVLPG_ALL, FREE_LIN, 0);
  check_equal("the first page again", update_va_mapping(FREE_LIN, entry_for(one, KERNEL_FLAGS), UVMF_INVLPG | UVMF_ALL), 0);
  check_equal("what the second reads", ask(READ), 1);
  u32 set = (u32)&second_only;
  check_equal("the other", update_va_mapping(FREE_LIN, entry_for(two, KERNEL_FLAGS), UVMF_TLB_FLUSH | set), 0);
  check_equal("what the second reads", ask(READ), 2);

  /* Nobody flushes here: that the page becomes a table is enough. */
  memset(two, 0, PAGE_SIZE);
  check_equal("the second writes", ask(WRITE), NO_FAULT);
  memset(two, 0, PAGE_SIZE);
  set_access(two, READ_ONLY_FLAGS);
  set_entry(l1_entry(FREE_LIN), entry_for(two, READ_ONLY_FLAGS));
  check_answer("pinned as a table", extended(MMUEXT_PIN_L1_TABLE, mfn_of(two), 0), 0);
  check_equal("the second cannot write", ask(WRITE), VECTOR_PF);
  check_equal("nothing came of it", *two, 0);
  order = LEAVE;
  wait_until_down();
}
