/*
 * A return that cannot be made ends in the failsafe callback, with the data segments it found below the frame and null ones loaded; it
 * sets the upcall mask only when it was registered so.
 */
#include "test.h"

static u32 USER_CODE never(u32 argument) { return argument; }

static void try_return(const char *what, u32 cs, u32 ss) {
  u32 before = failsafe_count;
  user_cs = cs;
  user_ss = ss;
  user_call(never, 5);
  user_cs = USER_CS;
  user_ss = USER_DS;
  check(failsafe_count == before + 1, "%s: the callback came %u times", what, failsafe_count - before);
  check(failsafe_seen.eip == (u32)never, "%s: EIP is %x", what, failsafe_seen.eip);
  check(failsafe_seen.cs == (cs & 0xffff), "%s: CS is %x", what, failsafe_seen.cs);
  check((failsafe_seen.ss & 0xffff) == ss, "%s: SS is %x", what, failsafe_seen.ss);
  check(failsafe_live_ds == 0, "%s: FS in the callback is %x", what, failsafe_live_ds);
}

static void register_failsafe(u32 flags) {
  struct callback_register op = {CALLBACKTYPE_FAILSAFE, flags, KERNEL_CS, (u32)failsafe_stub};
  check_answer("registering", callback_op(CALLBACKOP_REGISTER, &op), 0);
}

void test_main(void) {
  setup();
  u16 selector = FLAT_RING1_DS;
  __asm__ volatile("movw %0, %%gs" : : "r"(selector));
  register_failsafe(0);
  try_return("a CS that is none", 0x103, USER_DS);
  check_equal("DS below the frame", failsafe_seen.ds & 0xffff, USER_DS);
  check_equal("GS below the frame", failsafe_seen.gs & 0xffff, FLAT_RING1_DS);
  check_equal("the mask", failsafe_mask, 0);
  try_return("a data segment for CS", USER_DS, USER_DS);
  try_return("a null SS", USER_CS, 0);
  try_return("a code segment for SS", USER_CS, USER_CS);
  try_return("an SS of ring 1", USER_CS, KERNEL_DS);
  register_failsafe(CALLBACKF_MASK_EVENTS);
  events_off();
  try_return("one that masks", 0x103, USER_DS);
  check_equal("the mask", failsafe_mask, 1);
  events_off();
}
