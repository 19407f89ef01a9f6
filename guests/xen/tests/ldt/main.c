/* MMUEXT_SET_LDT: pages are looked at when a selector first needs them, and cannot be written while they count as checked. */
#include "test.h"

static u64 table[2][512] __attribute__((aligned(4096)));

#define SELECTOR(i) ((i) << 3 | 5)

static void try_es(const char *what, u32 selector, u32 vector, u32 code) {
  TRY("movw %w0, %%es", : : "r"(selector));
  if (vector == NO_FAULT)
    expect_no_fault(what);
  else
    expect_fault(what, vector, code);
  __asm__ volatile("movw %w0, %%es" : : "r"(KERNEL_DS));
}

void test_main(void) {
  setup();
  try_es("without a table", SELECTOR(4), VECTOR_GP, SELECTOR(4) & ~3);
  table[0][4] = descriptor(0, 0xfffff, 0x93, 0xc);
  table[1][0] = descriptor(0, 0xfffff, 0xf3, 0xc);
  check_answer("two pages", extended(MMUEXT_SET_LDT, (u32)table, 513), 0);
  try_es("a page that is mapped writable", SELECTOR(4), VECTOR_GP, SELECTOR(4) & ~3);
  set_access(table[0], READ_ONLY_FLAGS);
  try_es("one that is not", SELECTOR(4), NO_FAULT, 0);
  check(table[0][4] == descriptor(0, 0xfffff, 0xb3, 0xc), "the DPL of a descriptor in it is as it was");
  check_answer("mapping it writable", update_va_mapping((u32)table[0], entry_for(table[0], KERNEL_FLAGS), UVMF_INVLPG),
               -XEN_EBUSY);
  set_access(table[1], READ_ONLY_FLAGS);
  try_es("the second page", SELECTOR(512), NO_FAULT, 0);
  try_es("past its last entry", SELECTOR(513), VECTOR_GP, SELECTOR(513) & ~3);
  check_answer("an address within a page", extended(MMUEXT_SET_LDT, (u32)table + 8, 5), -XEN_EINVAL);
  check_answer("too many entries", extended(MMUEXT_SET_LDT, (u32)table, 8193), -XEN_EINVAL);
  check_answer("none", extended(MMUEXT_SET_LDT, 0, 0), 0);
  try_es("a table that is gone", SELECTOR(4), VECTOR_GP, SELECTOR(4) & ~3);
  check_answer("mapping it writable", update_va_mapping((u32)table[0], entry_for(table[0], KERNEL_FLAGS), UVMF_INVLPG), 0);
  check_answer("a table where nothing is", extended(MMUEXT_SET_LDT, FREE_LIN, 512), 0);
  try_es("a selector of it", SELECTOR(4), VECTOR_GP, SELECTOR(4) & ~3);
}
