/* Calls in the ring are performed strictly in order, each slot is given back as 0xff, and the trapping call comes last. */
#include "test.h"

static u32 blocks[3][2] = {{11}, {22}, {33}};

static void tls_base(struct descriptor *entries, u32 which) { entries[0] = descriptor((u32)blocks[which], 0xfffff, 0xf3, 0xc); }

static u32 through_gs(void) {
  u32 value;
  __asm__ volatile("movw %w1, %%gs; movl %%gs:0, %0; movw %w2, %%gs" : "=r"(value) : "r"(0x33), "r"(0));
  return value;
}

void test_main(void) {
  static struct descriptor tls[3][3];
  setup();
  for (u32 i = 0; i < 3; i++)
    tls_base(tls[i], i);
  for (u32 last = 0; last < 3; last++) {
    ring_add(LHCALL_LOAD_TLS, (u32)tls[(last + 1) % 3], 0, 0, 0);
    ring_add(LHCALL_LOAD_TLS, (u32)tls[(last + 2) % 3], 0, 0, 0);
    ring_add(LHCALL_LOAD_TLS, (u32)tls[last], 0, 0, 0);
    hcall0(LHCALL_FLUSH_ASYNC);
    check_equal("the last of three", through_gs(), 11 * (last + 1));
  }
  ring_add(LHCALL_LOAD_TLS, (u32)tls[0], 0, 0, 0);
  ring_add(LHCALL_LOAD_TLS, (u32)tls[1], 0, 0, 0);
  hcall2(LHCALL_LOAD_TLS, tls[2], 0);
  check_equal("the trapping call after the ring's", through_gs(), 33);
  for (u32 i = 0; i < LG_RING_SLOTS; i++)
    check_equal("a slot's status", lguest_data.hcall_status[i], LG_HCALL_FREE);
}
