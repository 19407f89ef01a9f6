/* set_gdt: the pages must be good and mapped writable nowhere, and stay so; Xen's own selectors are there whatever the guest has. */
#include "test.h"

static u64 table[2][512] __attribute__((aligned(4096)));

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
  u32 frames[15] = {mfn_of(table[0]), mfn_of(table[1])};
  table[0][4] = descriptor(0, 0xfffff, 0x93, 0xc);
  table[1][0] = descriptor(0, 0xfffff, 0xf3, 0xc);
  check_answer("a page that is mapped writable", set_gdt(frames, 512), -XEN_EINVAL);
  set_access(table[0], READ_ONLY_FLAGS);
  check_answer("one page", set_gdt(frames, 512), 0);
  check_answer("mapping it writable", update_va_mapping((u32)table[0], entry_for(table[0], KERNEL_FLAGS), UVMF_INVLPG),
               -XEN_EBUSY);
  expect_read_only("the page", table[0]);
  check(table[0][4] == descriptor(0, 0xfffff, 0xb3, 0xc), "the DPL of a descriptor in it is as it was");
  try_es("a descriptor of it", 4 << 3 | 1, NO_FAULT, 0);
  try_es("an empty one", 5 << 3 | 1, VECTOR_GP, 5 << 3);
  try_es("one past its end", 512 << 3 | 1, VECTOR_GP, 512 << 3);
  try_es("Xen's data for ring 1", KERNEL_DS, NO_FAULT, 0);
  try_es("Xen's data for ring 3", USER_DS, NO_FAULT, 0);
  check_answer("a second page that is mapped writable", set_gdt(frames, 513), -XEN_EINVAL);
  try_es("the table that stayed", 4 << 3 | 1, NO_FAULT, 0);
  set_access(table[1], READ_ONLY_FLAGS);
  check_answer("two pages", set_gdt(frames, 513), 0);
  try_es("a descriptor of the second", 512 << 3 | 1, NO_FAULT, 0);
  check_answer("too many entries", set_gdt(frames, 7169), -XEN_EINVAL);
  check_answer("an unmapped list", set_gdt((u32 *)FREE_LIN, 512), -XEN_EFAULT);
  u32 none = NO_MFN;
  check_answer("a frame that is none", set_gdt(&none, 1), -XEN_EINVAL);
  check_answer("update_descriptor in use",
               update_descriptor(machine(&table[0][5]), descriptor(0, 0xfffff, 0xf3, 0xc)), 0);
  try_es("the descriptor that was written", 5 << 3 | 1, NO_FAULT, 0);
  check_answer("none", set_gdt(frames, 0), 0);
  try_es("a table that is gone", 4 << 3 | 1, VECTOR_GP, 4 << 3);
  set_access(table[0], KERNEL_FLAGS);
  table[0][6] = descriptor(0, 103, 0x89, 0);
  set_access(table[0], READ_ONLY_FLAGS);
  check_answer("a page with a TSS", set_gdt(frames, 512), -XEN_EINVAL);
  set_access(table[0], KERNEL_FLAGS);
}
