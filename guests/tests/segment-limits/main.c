/* Limits, rights and null selectors of data segments: general protection or stack faults, as on silicon. */
#include "test.h"

static u8 window[64] __attribute__((aligned(16)));

static void load_entry(u32 index, struct descriptor entry) {
  hcall3(LHCALL_LOAD_GDT_ENTRY, index, entry.low, entry.high);
}

void test_main(void) {
  setup();
  load_entry(20, descriptor((u32)window, 15, 0xb2, 0x4));
  load_entry(21, descriptor((u32)window, 15, 0xb0, 0x4));
  load_entry(22, descriptor((u32)window, 15, 0xb6, 0x4));
  window[4] = 0x5a;
  TRY("movw %w0, %%es; movb %%es:4, %%al; movb %%al, %%es:5", : : "r"(20 << 3 | 1) : "eax", "memory");
  expect_no_fault("inside the limit");
  check_equal("the byte that was copied", window[5], 0x5a);
  TRY("movl %%es:12, %%eax", : : : "eax");
  expect_no_fault("the last dword");
  TRY("movl %%es:13, %%eax", : : : "eax");
  expect_fault("one byte past the limit", VECTOR_GP, 0);
  TRY("movb %%al, %%es:16", : : : "memory");
  expect_fault("a write past the limit", VECTOR_GP, 0);
  TRY("movl %%es:0xffffffff, %%eax", : : : "eax");
  expect_fault("far past the limit", VECTOR_GP, 0);
  TRY("movw %w0, %%es; movb %%al, %%es:4", : : "r"(21 << 3 | 1) : "memory");
  expect_fault("a write to a read-only segment", VECTOR_GP, 0);
  TRY("movw %w0, %%es; movb %%es:20, %%al", : : "r"(22 << 3 | 1) : "eax");
  expect_no_fault("expand-down, above the limit");
  TRY("movb %%es:4, %%al", : : : "eax");
  expect_fault("expand-down, below the limit", VECTOR_GP, 0);
  TRY("movw %w0, %%es; movb %%es:4, %%al", : : "r"(0) : "eax");
  expect_fault("a null selector", VECTOR_GP, 0);
  TRY("movw %w0, %%es; movb %%cs:(%1), %%al", : : "r"(KERNEL_DS), "r"(window) : "eax");
  expect_no_fault("reading through CS");
  TRY("movb %%al, %%cs:(%0)", : : "r"(window) : "memory");
  expect_fault("writing through CS", VECTOR_GP, 0);
  TRY("movw %w0, %%es", : : "r"(KERNEL_CS));
  expect_no_fault("readable code in ES");
  TRY("movw %w0, %%ss", : : "r"(KERNEL_CS));
  expect_fault("code in SS", VECTOR_GP, 0x60);
  __asm__ volatile("movw %w0, %%es" : : "r"(KERNEL_DS));
}
