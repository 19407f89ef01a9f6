/* Pinning makes a page a table of its kind until it is unpinned, whatever refers to it; what is in use as something else stays that. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  u32 mfn = mfn_of(page);
  check_answer("a page that is mapped writable", extended(MMUEXT_PIN_L1_TABLE, mfn, 0), -XEN_EINVAL);
  set_access(page, READ_ONLY_FLAGS);
  check_answer("unpinning what is not pinned", extended(MMUEXT_UNPIN_TABLE, mfn, 0), -XEN_EINVAL);
  check_answer("as an L1 table", extended(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
  check_answer("again", extended(MMUEXT_PIN_L1_TABLE, mfn, 0), -XEN_EINVAL);
  check_answer("as an L2 table too", extended(MMUEXT_PIN_L2_TABLE, mfn, 0), -XEN_EINVAL);
  check_answer("mapping it writable", update_va_mapping((u32)page, entry_for(page, KERNEL_FLAGS), UVMF_INVLPG), -XEN_EBUSY);
  check_answer("using it", set_entry(l2_entry(FREE_LIN), entry_for(page, TABLE_FLAGS)), 0);
  check_answer("unpinning", extended(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
  check_answer("unpinning again", extended(MMUEXT_UNPIN_TABLE, mfn, 0), -XEN_EINVAL);
  check_answer("mapping it writable while it is in use",
               update_va_mapping((u32)page, entry_for(page, KERNEL_FLAGS), UVMF_INVLPG), -XEN_EBUSY);
  check_answer("no use any more", set_entry(l2_entry(FREE_LIN), 0), 0);
  check_answer("mapping it writable", update_va_mapping((u32)page, entry_for(page, KERNEL_FLAGS), UVMF_INVLPG), 0);
  *(u32 *)page = 0x12345;
  set_access(page, READ_ONLY_FLAGS);
  *(volatile u32 *)page;
  check_answer("a table with an entry for a frame of devices", extended(MMUEXT_PIN_L1_TABLE, mfn, 0), -XEN_EPERM);
  check_answer("an L4 table, of which there are none", extended(MMUEXT_PIN_L4_TABLE, mfn, 0), 0);
  check_answer("a frame that is none", extended(MMUEXT_PIN_L1_TABLE, NO_MFN, 0), -XEN_EINVAL);
  u8 *rings[] = {page_of(start_info->store_mfn), page_of(start_info->console_mfn)};
  for (u32 i = 0; i < 2; i++) {
    set_access(rings[i], READ_ONLY_FLAGS);
    check_answer("a ring that the Host writes", extended(MMUEXT_PIN_L1_TABLE, mfn_of(rings[i]), 0), -XEN_EINVAL);
    set_access(rings[i], KERNEL_FLAGS);
  }
  check_answer("unpinning it", extended(MMUEXT_UNPIN_TABLE, NO_MFN, 0), -XEN_EINVAL);
  check_answer("an L1 table in use, pinned", extended(MMUEXT_PIN_L1_TABLE, mfn_of(l1_table((u32)page)), 0), 0);
  check_answer("an L2 table in use, pinned", extended(MMUEXT_PIN_L2_TABLE, mfn_of(l2_table((u32)page)), 0), 0);
}
