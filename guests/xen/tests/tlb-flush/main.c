/* The flushes of mmuext_op, each after a change that nobody was told of, and which of them a domain may ask for. */
#include "test.h"

static u32 *one, *two;
static u32 all = 1;

static void check_flush(const char *what, u32 command, u32 arg1, u32 arg2) {
  pte_t *entry = l1_entry(FREE_LIN);
  set_entry(entry, entry_for(one, KERNEL_FLAGS));
  extended(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
  check_equal("the first page", peek(FREE_LIN), 1);
  set_entry(entry, entry_for(two, KERNEL_FLAGS));
  check_answer(what, extended(command, arg1, arg2), 0);
  check_equal(what, peek(FREE_LIN), 2);
}

void test_main(void) {
  setup();
  one = alloc_page();
  two = alloc_page();
  *one = 1;
  *two = 2;
  check_flush("TLB_FLUSH_LOCAL", MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
  check_flush("INVLPG_LOCAL", MMUEXT_INVLPG_LOCAL, FREE_LIN, 0);
  check_flush("TLB_FLUSH_MULTI", MMUEXT_TLB_FLUSH_MULTI, 0, (u32)&all);
  check_flush("INVLPG_MULTI", MMUEXT_INVLPG_MULTI, FREE_LIN, (u32)&all);
  check_flush("TLB_FLUSH_ALL", MMUEXT_TLB_FLUSH_ALL, 0, 0);
  check_flush("INVLPG_ALL", MMUEXT_INVLPG_ALL, FREE_LIN, 0);
  check_answer("INVLPG of Xen's area", extended(MMUEXT_INVLPG_LOCAL, 0xfffff000, 0), 0);
  check_answer("a set that cannot be read", extended(MMUEXT_TLB_FLUSH_MULTI, 0, FREE_LIN + 0x100000), -XEN_EINVAL);
  check_answer("a set that cannot be read", extended(MMUEXT_INVLPG_MULTI, FREE_LIN, FREE_LIN + 0x100000), -XEN_EINVAL);
  check_answer("FLUSH_CACHE", extended(MMUEXT_FLUSH_CACHE, 0, 0), -XEN_EACCES);
  check_answer("FLUSH_CACHE_GLOBAL", extended(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), -XEN_EINVAL);
  check_answer("MARK_SUPER", extended(MMUEXT_MARK_SUPER, mfn_of(one), 0), -XEN_EOPNOTSUPP);
  check_answer("UNMARK_SUPER", extended(MMUEXT_UNMARK_SUPER, mfn_of(one), 0), -XEN_EOPNOTSUPP);
  check_answer("an operation that is none", extended(14, 0, 0), -XEN_ENOSYS);
  check_answer("an operation that is none", extended(99, 0, 0), -XEN_ENOSYS);
  struct mmuext_op list[3] = {{MMUEXT_TLB_FLUSH_LOCAL, 0, 0}, {99, 0, 0}, {MMUEXT_TLB_FLUSH_LOCAL, 0, 0}};
  u32 done = 99;
  check_answer("the second of three is bad", mmuext_op(list, 3, &done, DOMID_SELF), -XEN_ENOSYS);
  check_equal("how many", done, 1);
  check_answer("an unmapped list", mmuext_op((void *)(FREE_LIN + 0x100000), 1, &done, DOMID_SELF), -XEN_EFAULT);
}
