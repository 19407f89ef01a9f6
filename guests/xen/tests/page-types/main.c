/* A page is written or a table, never both at once: what maps it writable anywhere decides, and so does who uses it as a table. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  check_answer("a second mapping, writable", map(FREE_LIN, entry_for(page, KERNEL_FLAGS)), 0);
  set_access(page, READ_ONLY_FLAGS);
  poke(FREE_LIN + 8, 0);
  s32 answer = set_entry(l2_entry(FREE_LIN + 0x200000), entry_for(page, TABLE_FLAGS));
  check(answer < 0, "a page with a writable mapping becomes a table with %d", answer);
  check_answer("pinning it", extended(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0), -XEN_EINVAL);
  check_answer("the writable mapping, gone", map(FREE_LIN, entry_for(page, READ_ONLY_FLAGS)), 0);
  check_answer("now it is a table", set_entry(l2_entry(FREE_LIN + 0x200000), entry_for(page, TABLE_FLAGS)), 0);
  expect_read_only("the table", page);
  check_answer("and no L2 table", set_entry(l3_table() + 2, entry_for(page, PTE_P)), -XEN_EINVAL);
  u32 mfn = mfn_of(page);
  check_answer("and no page of descriptors", set_gdt(&mfn, 1), -XEN_EINVAL);
  /* A translation that was made while the page could be written does not outlive it. */
  check_answer("no table any more", set_entry(l2_entry(FREE_LIN + 0x200000), 0), 0);
  map(FREE_LIN, entry_for(page, KERNEL_FLAGS));
  poke(FREE_LIN + 8, 0);
  update_va_mapping(FREE_LIN, entry_for(page, READ_ONLY_FLAGS), UVMF_NONE);
  check_answer("a table again, without a flush", set_entry(l2_entry(FREE_LIN + 0x200000), entry_for(page, TABLE_FLAGS)), 0);
  expect_read_only("the table by way of an address that was written a moment ago", (void *)FREE_LIN);
}
