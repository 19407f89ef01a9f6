/* A 16-bit code segment runs with 16-bit operands and addresses, wraps IP-relative jumps, and comes back by a far return. */
#include "test.h"

__asm__(".balign 4096\n"
        "code16:\n\t.code16\n\t"
        "movw $0x1234, %ax\n\t"
        "addw $0x1111, %ax\n\t"
        "pushw %ax\n\t"
        "popw %cx\n\t"
        "movl $0x89abcdef, %edx\n\t"
        "call near16\n\t"
        "lretl\n"
        "near16: movw $8, %bx\n\t"
        "addw %cs:data16 - code16 - 8(%bx), %ax\n\t"
        "retw\n"
        "data16: .word 0x0001\n\t"
        ".code32\n");
extern u8 code16[];

void test_main(void) {
  setup();
  struct descriptor entry = descriptor((u32)code16, 0xffff, 0xba, 0x0);
  struct {
    u32 offset;
    u16 selector;
  } target = {0, 20 << 3 | 1};
  u32 eax = 0xdead0000, ecx = 0xbeef0000, edx = 0;
  hcall3(LHCALL_LOAD_GDT_ENTRY, 20, entry.low, entry.high);
  TRY("lcall *(%3)", : "+a"(eax), "+c"(ecx), "+d"(edx) : "r"(&target) : "ebx", "memory");
  expect_no_fault("a far call into 16-bit code");
  check_equal("EAX", eax, 0xdead2346);
  check_equal("ECX", ecx, 0xbeef2345);
  check_equal("EDX", edx, 0x89abcdef);
}
