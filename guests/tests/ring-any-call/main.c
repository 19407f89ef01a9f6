/* Every trapping call drains the ring first, whichever it is. */
#include "test.h"

static void expect_drained(const char *call) {
  check(lguest_data.hcall_status[(ring_cursor + LG_RING_SLOTS - 1) % LG_RING_SLOTS] == LG_HCALL_FREE,
        "%s left the ring as it was", call);
}

void test_main(void) {
  setup();
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  hcall1(LHCALL_TS, 0);
  expect_drained("TS");
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  hcall1(LHCALL_SET_CLOCKEVENT, 0);
  expect_drained("SET_CLOCKEVENT");
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  hcall0(LHCALL_SEND_INTERRUPTS);
  expect_drained("SEND_INTERRUPTS");
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  load_gate(0x90, 0, SYSDESC_INT_GATE32, 0);
  expect_drained("LOAD_IDT_ENTRY");
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  hcall3(LHCALL_LOAD_GDT_ENTRY, 20, 0, 0);
  expect_drained("LOAD_GDT_ENTRY");
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  hcall3(LHCALL_SET_STACK, KERNEL_DS, trap_stack_top, 1);
  expect_drained("SET_STACK");
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  new_pgtable(first_directory);
  expect_drained("NEW_PGTABLE");
#ifndef LGUEST_PCI
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  hcall1(LHCALL_NOTIFY, "");
  expect_drained("NOTIFY");
#endif
}
