/* CLEAR_PAGE and COPY_PAGE take frames, mapped or not, as long as the target may be written. */
#include "test.h"

void test_main(void) {
  setup();
  u32 *from = alloc_page(), *to = alloc_page();
  for (u32 i = 0; i < 1024; i++)
    from[i] = i * 3, to[i] = ~i;
  check_answer("a copy", extended(MMUEXT_COPY_PAGE, mfn_of(to), mfn_of(from)), 0);
  check_equal("the first word", to[1], 3);
  check_equal("the last word", to[1023], 3069);
  check_answer("a copy of a page table", extended(MMUEXT_COPY_PAGE, mfn_of(to), mfn_of(l3_table())), 0);
  check(*(pte_t *)to == l3_table()[0], "the copy begins with %llx", *(pte_t *)to);
  check_answer("clearing", extended(MMUEXT_CLEAR_PAGE, mfn_of(to), 0), 0);
  u32 sum = 0;
  for (u32 i = 0; i < 1024; i++)
    sum |= to[i];
  check_equal("the page", sum, 0);
  set_access(to, READ_ONLY_FLAGS);
  check_answer("clearing what is only mapped read-only", extended(MMUEXT_CLEAR_PAGE, mfn_of(to), 0), 0);
  check_answer("a frame that is none", extended(MMUEXT_CLEAR_PAGE, NO_MFN, 0), -XEN_EINVAL);
  check_answer("from a frame that is none", extended(MMUEXT_COPY_PAGE, mfn_of(from), NO_MFN), -XEN_EINVAL);
  check_answer("to a frame that is none", extended(MMUEXT_COPY_PAGE, NO_MFN, mfn_of(from)), -XEN_EINVAL);
}
