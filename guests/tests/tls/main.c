/* LOAD_TLS sets entries 6, 7 and 8 together, from guest-physical memory, with the usual fix-ups. */
#include "test.h"

static u32 words[3] = {0x1111, 0x2222, 0x3333};

static u32 through(u32 selector) {
  u32 value;
  __asm__ volatile("movw %w1, %%gs; movl %%gs:0, %0; movw %w2, %%gs" : "=r"(value) : "r"(selector), "r"(0));
  return value;
}

void test_main(void) {
  static struct descriptor tls[3];
  setup();
  for (u32 i = 0; i < 3; i++)
    tls[i] = descriptor((u32)&words[i], 3, i == 2 ? 0x92 : 0xf2, 0x4);
  hcall2(LHCALL_LOAD_TLS, tls, 0);
  check_equal("entry 6", through(6 << 3 | 3), 0x1111);
  check_equal("entry 7", through(7 << 3 | 3), 0x2222);
  check_equal("entry 8, DPL 0 made 1", through(8 << 3 | 1), 0x3333);
  u32 rights = 0;
  __asm__("larl %1, %0" : "+r"(rights) : "r"(6 << 3 | 3));
  check_equal("rights of entry 6", rights & 0xff00, 0xf300);
  memset(tls, 0, sizeof tls);
  hcall2(LHCALL_LOAD_TLS, tls, 0);
  TRY("movw %w0, %%gs", : : "r"(6 << 3 | 3));
  expect_fault("loading an entry that was cleared", VECTOR_GP, 6 << 3);
}
