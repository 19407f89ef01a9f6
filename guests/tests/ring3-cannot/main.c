/* A process at ring 3: no ports, no flag, no privileged instruction, no segment of the kernel's. */
#include "test.h"

static u32 USER_CODE attempt(u32 which) {
  u32 zero = 0;
  switch (which) {
  case 0: __asm__ volatile("cli"); break;
  case 1: __asm__ volatile("sti"); break;
  case 2: __asm__ volatile("hlt"); break;
  case 3: __asm__ volatile("outb %b0, $0x80" : : "a"(zero)); break;
  case 4: __asm__ volatile("movl %%cr0, %0" : "=r"(zero)); break;
  case 5: __asm__ volatile("lgdt (%0)" : : "r"(&zero)); break;
  case 6: __asm__ volatile("movw %w0, %%ds" : : "r"(LGUEST_KERNEL_DS)); break;
  case 7: __asm__ volatile("rdmsr" : : "c"(0x10) : "eax", "edx"); break;
  case 8: __asm__ volatile("lcall $0x61, $0x100000"); break;
  case 9: __asm__ volatile("int $0x21"); break;
  }
  return which;
}

void test_main(void) {
  static const u32 errors[] = {0, 0, 0, 0, 0, 0, LGUEST_KERNEL_DS & ~3u, 0, LGUEST_KERNEL_CS & ~3u, 0x21 * 8 + ERR_IDT};
  setup();
  for (u32 i = 0; i < COUNT_OF(errors); i++) {
    char what[32];
    format(what, sizeof what, "attempt %u", i);
    user_call(attempt, i);
    expect_fault(what, VECTOR_GP, errors[i]);
  }
}
