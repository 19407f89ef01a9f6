/* With a 16-bit stack segment pushes use SP and wrap within 64 KiB. */
#include "test.h"

static u8 segment[0x10000] __attribute__((aligned(4096)));

void test_main(void) {
  setup();
  struct descriptor entry = descriptor((u32)segment, 0xffff, 0xb2, 0x0);
  hcall3(LHCALL_LOAD_GDT_ENTRY, 20, entry.low, entry.high);
  u32 sp, value;
  __asm__ volatile("movl %%esp, %%esi\n\t"
                   "movw %w2, %%ss\n\t"
                   "movl $0xabcd0004, %%esp\n\t"
                   "pushl $0x11111111\n\t"
                   "pushl $0x22222222\n\t"
                   "movl %%esp, %0\n\t"
                   "popl %1\n\t"
                   "movw %w3, %%ss\n\t"
                   "movl %%esi, %%esp"
                   : "=&r"(sp), "=&r"(value)
                   : "r"(20 << 3 | 1), "r"(KERNEL_DS)
                   : "esi", "memory");
  check_equal("ESP after two pushes", sp, 0xabcdfffc);
  check_equal("the value popped", value, 0x22222222);
  check_equal("at offset 0", peek((u32)segment), 0x11111111);
  check_equal("at offset 0xfffc", peek((u32)segment + 0xfffc), 0x22222222);
}
