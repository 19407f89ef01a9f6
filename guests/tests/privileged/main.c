/* Instructions of ring 0 are general protection faults at ring 1; the ones that only look are allowed. */
#include "test.h"

void test_main(void) {
  u32 value = 0;
  u8 table[6];
  setup();
#define REFUSED(instruction, ...)            \
  TRY(instruction, __VA_ARGS__);             \
  expect_fault(instruction, VECTOR_GP, 0)
#define ALLOWED(instruction, ...)            \
  TRY(instruction, __VA_ARGS__);             \
  expect_no_fault(instruction)
  REFUSED("movl %%cr0, %0", : "+r"(value));
  REFUSED("movl %0, %%cr3", : "+r"(value));
  REFUSED("movl %%cr2, %0", : "+r"(value));
  REFUSED("movl %0, %%cr4", : "+r"(value));
  REFUSED("movl %0, %%dr7", : "+r"(value));
  REFUSED("clts", :);
  REFUSED("invlpg (%0)", : : "r"(&value));
  REFUSED("wbinvd", :);
  REFUSED("invd", :);
  REFUSED("lgdt (%0)", : : "r"(table));
  REFUSED("lidt (%0)", : : "r"(table));
  REFUSED("lmsw %w0", : : "r"(value));
  REFUSED("ltr %w0", : : "r"(value));
  REFUSED("lldt %w0", : : "r"(value));
  REFUSED("rdmsr", : : "c"(0x10) : "eax", "edx");
  REFUSED("wrmsr", : : "c"(0x10), "a"(0), "d"(0));
  ALLOWED("sgdt (%0)", : : "r"(table) : "memory");
  ALLOWED("sidt (%0)", : : "r"(table) : "memory");
  ALLOWED("sldt %w0", : "+r"(value));
  ALLOWED("str %w0", : "+r"(value));
  ALLOWED("smsw %w0", : "+r"(value));
  ALLOWED("rdtsc", : : : "eax", "edx");
  ALLOWED("cpuid", : : "a"(0) : "ebx", "ecx", "edx");
}
