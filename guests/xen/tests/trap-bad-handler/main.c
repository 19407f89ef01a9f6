/* A handler that cannot be entered for its selector is told to the failsafe callback, as if a return to it had failed. */
#include "test.h"

static struct failsafe_frame kept;
static u16 ss;

static void recover(struct failsafe_frame *frame) {
  kept = *frame;
  __asm__("movw %%ss, %0" : "=r"(ss));
  frame->eip = recover_eip;
  frame->cs = KERNEL_CS;
}

/* The frame leads to the handler, in ring 1; above it is that of the trap. */
static void leave(struct failsafe_frame *frame) {
  kept = *frame;
  __asm__("movw %%ss, %0" : "=r"(ss));
  user_leave(0x4444);
}

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument;
}

void test_main(void) {
  setup();
  failsafe_hook = recover;
  struct trap_info table[2] = {trap_entry(VECTOR_UD, 0)};
  table[0].cs = 0x101;
  set_trap_table(table);
  TRY("ud2", :);
  check_equal("calls of it", failsafe_count, 1);
  check_equal("CS", kept.cs, 0x101);
  check_equal("EIP", kept.eip, table[0].address);
  expect_no_fault("the handler");
  failsafe_hook = leave;
  check_equal("back from ring 3", user_call(trap_here, 0), 0x4444);
  check_equal("calls of it", failsafe_count, 2);
  check_equal("CS", kept.cs, 0x101);
  check_equal("SS in the callback", ss, KERNEL_DS);
}
