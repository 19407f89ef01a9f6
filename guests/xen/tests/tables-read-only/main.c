/* The tables in use can be read and not written, whoever tries: the kernel, a program, or a call that is to write there. */
#include "test.h"

static u32 USER_CODE write_at(u32 address) {
  *(volatile u32 *)address = 1;
  return 0;
}

void test_main(void) {
  setup();
  pte_t *tables[] = {l3_table(), l2_table(0), l1_table(0)};
  for (u32 i = 0; i < COUNT_OF(tables); i++) {
    expect_read_only("a table", tables[i]);
    user_call(write_at, (u32)tables[i]);
    expect_page_fault("a program's write", (u32)tables[i], PFERR_PRESENT | PFERR_WRITE | PFERR_USER);
    check_answer("clearing it", extended(MMUEXT_CLEAR_PAGE, mfn_of(tables[i]), 0), -XEN_EINVAL);
    check_answer("copying into it", extended(MMUEXT_COPY_PAGE, mfn_of(tables[i]), mfn_of(alloc_page())), -XEN_EINVAL);
    check_answer("an answer to be put there", xen_version(XENVER_EXTRAVERSION, tables[i]), -XEN_EFAULT);
    u32 done = mmu_update(NULL, 0, (u32 *)tables[i], DOMID_SELF);
    check(tables[i][0] & PTE_P || !tables[i][0], "a count of %u was put there", done);
  }
}
