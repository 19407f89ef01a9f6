/* MMU_MACHPHYS_UPDATE sets what the machine-to-physical table says of a frame of the guest's own. */
#include "test.h"

void test_main(void) {
  setup();
  u8 *page = alloc_page();
  u32 mfn = mfn_of(page), pfn = (u32)page >> 12;
  check_equal("the table at the start", M2P[mfn], pfn);
  check_answer("another number", update((u64)mfn << 12 | MMU_MACHPHYS_UPDATE, 0x777), 0);
  check_equal("the table", M2P[mfn], 0x777);
  check_answer("an address within the page", update(machine(page + 0x100) | MMU_MACHPHYS_UPDATE, pfn), 0);
  check_equal("the table", M2P[mfn], pfn);
  check_answer("a frame that is none", update((u64)NO_MFN << 12 | MMU_MACHPHYS_UPDATE, 1), -XEN_EINVAL);
  check_answer("a frame of Xen's", update((u64)1 << 12 | MMU_MACHPHYS_UPDATE, 1), -XEN_EINVAL);
}
