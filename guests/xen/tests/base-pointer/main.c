/* NEW_BASEPTR, and MOV to CR3 with its rotated form: a table is checked on the fly; a bad one leaves the old one in use. */
#include "test.h"

static u32 read_cr3(void) {
  u32 value;
  __asm__ volatile("movl %%cr3, %0" : "=r"(value));
  return value >> 12 | value << 20;
}

void test_main(void) {
  setup();
  pte_t *old = l3_table();
  pte_t *fresh = new_tables();
  check_answer("an unpinned table", extended(MMUEXT_NEW_BASEPTR, mfn_of(fresh), 0), 0);
  check_equal("CR3", read_cr3(), mfn_of(fresh));
  expect_read_only("the table", fresh);
  check_answer("back", extended(MMUEXT_NEW_BASEPTR, mfn_of(old), 0), 0);
  check_answer("the other one is nobody's now", update_va_mapping((u32)fresh, entry_for(fresh, KERNEL_FLAGS), UVMF_INVLPG), 0);
  check_answer("a writable page", extended(MMUEXT_NEW_BASEPTR, mfn_of(fresh), 0), -XEN_EINVAL);
  check_answer("a page that is no table", extended(MMUEXT_NEW_BASEPTR, mfn_of(alloc_read_only()), 0), -XEN_EINVAL);
  check_answer("a frame that is none", extended(MMUEXT_NEW_BASEPTR, NO_MFN, 0), -XEN_EINVAL);
  check_equal("CR3", read_cr3(), mfn_of(old));
  set_access(fresh, READ_ONLY_FLAGS);
  u32 mfn = mfn_of(fresh), value = mfn << 12 | mfn >> 20;
  TRY("movl %0, %%cr3", : : "r"(value));
  expect_no_fault("MOV to CR3");
  check_equal("CR3", read_cr3(), mfn);
  TRY("movl %0, %%cr3", : : "r"(NO_MFN << 12));
  expect_fault("MOV of a frame that is none", VECTOR_GP, 0);
  check_equal("CR3", read_cr3(), mfn);
  /* One list may pin, switch and unpin. */
  struct mmuext_op list[3] = {{MMUEXT_PIN_L3_TABLE, mfn, 0}, {MMUEXT_NEW_BASEPTR, mfn_of(old), 0}, {MMUEXT_UNPIN_TABLE, mfn, 0}};
  u32 done = 0;
  check_answer("three in one", mmuext_op(list, 3, &done, DOMID_SELF), 0);
  check_equal("how many", done, 3);
  check_answer("the user's table, which 64-bit guests have", extended(MMUEXT_NEW_USER_BASEPTR, mfn, 0), -XEN_EINVAL);
}
