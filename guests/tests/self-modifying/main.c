/* Code that was changed is what runs next: in the same block, in another page, and through another mapping of the page. */
#include "test.h"

#define ALIAS 0x40000000u

static u8 code_page[PAGE_SIZE] __attribute__((aligned(4096)));

/* mov $value, %eax; ret */
static void write_code(u8 *at, u32 value) {
  at[0] = 0xb8;
  memcpy(at + 1, &value, 4);
  at[5] = 0xc3;
}

static u32 call(u8 *at) {
  u32 value;
  __asm__ volatile("call *%1" : "=a"(value) : "r"(at) : "memory", "ecx", "edx");
  return value;
}

void test_main(void) {
  setup();
  for (u32 i = 0; i < 300; i++) {
    write_code(code_page + 16, i);
    check_equal("rewritten in place", call(code_page + 16), i);
  }
  map(first_directory, ALIAS, (u32)code_page, KERNEL_FLAGS);
  for (u32 i = 0; i < 50; i++) {
    write_code((u8 *)ALIAS + 16, 1000 + i);
    check_equal("rewritten through an alias", call(code_page + 16), 1000 + i);
    check_equal("run through the alias", call((u8 *)ALIAS + 16), 1000 + i);
  }
  u32 value;
  __asm__ volatile("movl $0x22222222, 1f - 4; movl $0x11111111, %0\n1:" : "=r"(value) : : "memory");
  check_equal("the next instruction's operand", value, 0x22222222);
  u32 total = 0;
  for (u32 i = 0; i < 4; i++) {
    u32 step;
    __asm__ volatile("movl $1, %0\n2:\tincl 2b - 4" : "=r"(step) : : "memory");
    total += step;
  }
  check_equal("an operand that grows in a loop", total, 1 + 2 + 3 + 4);
  write_code(code_page + PAGE_SIZE - 6, 7);
  check_equal("code at a page's end", call(code_page + PAGE_SIZE - 6), 7);
}
