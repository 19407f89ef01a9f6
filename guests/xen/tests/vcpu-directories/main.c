/* A vCPU that comes back to page tables which another has changed meanwhile sees the change: its load of CR3 has flushed. */
#include "test.h"

static u32 *one, *two;
static volatile u32 order, answer;
static u32 other_base, own_base;
static volatile u32 *const window = (volatile u32 *)FREE_LIN;

enum { READ = 1, AWAY, BACK, LEAVE };

static void obeys(void) {
  for (;;) {
    while (!order)
      sched_op(SCHEDOP_YIELD, NULL);
    if (order == LEAVE)
      return;
    if (order == READ)
      answer = *window;
    else
      answer = extended(MMUEXT_NEW_BASEPTR, order == AWAY ? other_base : own_base, 0);
    order = 0;
  }
}

static u32 ask(u32 what) {
  order = what;
  wait_until(&order, 0);
  return answer;
}

void test_main(void) {
  setup();
  one = alloc_page();
  two = alloc_page();
  *one = 1;
  *two = 2;
  map(FREE_LIN, entry_for(one, KERNEL_FLAGS));
  own_base = mfn_of(l3_table());
  pte_t *tables = new_tables();
  other_base = mfn_of(tables);
  check_answer("other tables", extended(MMUEXT_PIN_L3_TABLE, other_base, 0), 0);
  second_start(obeys);

  check_equal("what the second reads", ask(READ), 1);
  set_entry(l1_entry(FREE_LIN), entry_for(two, KERNEL_FLAGS));
  extended(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
  check_equal("to other tables", ask(AWAY), 0);
  check_equal("and back", ask(BACK), 0);
  check_equal("a change while they were in use", ask(READ), 2);

  check_equal("to other tables", ask(AWAY), 0);
  set_entry(l1_entry(FREE_LIN), entry_for(one, KERNEL_FLAGS));
  check_equal("and back", ask(BACK), 0);
  check_equal("a change while they were not", ask(READ), 1);
  order = LEAVE;
  wait_until_down();
}
