/*
 * With TS set every x87 instruction is #NM at ring 1 and at ring 3, until TS is cleared, directly or through the ring.
 */
#include "test.h"

static u32 USER_CODE x87(u32 argument) {
  __asm__ volatile("fnop");
  return argument;
}

void test_main(void) {
  setup();
  hcall1(LHCALL_TS, 0);
  TRY("fninit", :);
  expect_no_fault("x87 with TS clear");
  hcall1(LHCALL_TS, CR0_TS);
  TRY("fnop", :);
  expect_fault("x87 with TS set", VECTOR_NM, 0);
  user_call(x87, 1);
  expect_fault("x87 with TS set at ring 3", VECTOR_NM, 0);
  ring_add(LHCALL_TS, 0, 0, 0, 0);
  TRY("fnop", :);
  expect_fault("x87 before the ring is drained", VECTOR_NM, 0);
  hcall0(LHCALL_FLUSH_ASYNC);
  TRY("fnop", :);
  expect_no_fault("x87 after it");
  check_equal("x87 at ring 3 with TS clear", user_call(x87, 5), 5);
}
