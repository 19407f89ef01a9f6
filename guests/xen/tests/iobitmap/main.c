/* PHYSDEVOP_set_iobitmap: ports whose bits are clear may be used without a privilege level. */
#include "test.h"

static u8 bitmap[0x2000 / 8 + 1];

static u32 USER_CODE user_in(u32 port) {
  u32 value = 0;
  __asm__ volatile("inb %%dx, %%al" : "+a"(value) : "d"(port));
  return value;
}
static u32 USER_CODE user_in4(u32 port) {
  u32 value = 0;
  __asm__ volatile("inl %%dx, %%eax" : "+a"(value) : "d"(port));
  return value;
}

void test_main(void) {
  setup();
  struct {
    u8 *bitmap;
    u32 ports;
  } op = {bitmap, 0x1000};
  memset(bitmap, 0xff, sizeof bitmap);
  bitmap[0x3f8 / 8] = 0xf0;
  user_call(user_in, 0x3f8);
  expect_fault("before", VECTOR_GP, 0);
  check_answer("setting it", physdev_op(PHYSDEVOP_SET_IOBITMAP, &op), 0);
  check_equal("a port that is free", user_call(user_in, 0x3fb), 0xff);
  user_call(user_in, 0x3fc);
  expect_fault("a port that is not", VECTOR_GP, 0);
  check_equal("four ports that are", user_call(user_in4, 0x3f8), 0xffffffff);
  user_call(user_in4, 0x3f9);
  expect_fault("four of which one is not", VECTOR_GP, 0);
  TRY("inb %%dx, %%al", : : "d"(0x3f8) : "eax");
  expect_no_fault("the kernel");
  bitmap[0x1008 / 8] = 0;
  user_call(user_in, 0x1008);
  expect_fault("a port past the end", VECTOR_GP, 0);
  op.ports = 65537;
  check_answer("more ports than there are", physdev_op(PHYSDEVOP_SET_IOBITMAP, &op), -XEN_EINVAL);
  op.ports = 0;
  check_answer("none", physdev_op(PHYSDEVOP_SET_IOBITMAP, &op), 0);
  user_call(user_in, 0x3f8);
  expect_fault("afterwards", VECTOR_GP, 0);
}
