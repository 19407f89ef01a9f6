/* XENMEM_exchange gives frames for others, for the same numbers, in neighbouring ones if so asked. */
#include "test.h"

static struct {
  struct memory_reservation in, out;
  u32 done;
} op;

void test_main(void) {
  setup();
  u8 *pages[4];
  u32 in[4], out[4], pfns[4];
  for (u32 i = 0; i < 4; i++) {
    pages[i] = alloc_page();
    in[i] = mfn_of(pages[i]);
    out[i] = pfns[i] = (u32)pages[i] >> 12;
    update_va_mapping((u32)pages[i], 0, UVMF_INVLPG);
  }
  op.in = (struct memory_reservation){in, 2, 0, 0, DOMID_SELF, 0};
  op.out = (struct memory_reservation){out, 2, 0, 0, DOMID_SELF, 0};
  check_answer("two for two", memory_op(XENMEM_EXCHANGE, &op), 0);
  check_equal("how many", op.done, 2);
  for (u32 i = 0; i < 2; i++) {
    check_equal("what the table says", M2P[out[i]], pfns[i]);
    check_answer("mapping it", update_va_mapping((u32)pages[i], (pte_t)out[i] << 12 | KERNEL_FLAGS, UVMF_INVLPG), 0);
    check_equal("its contents", *(u32 *)pages[i], 0);
  }
  op.done = 0;
  op.out.nr_extents = 1;
  check_answer("two for one", memory_op(XENMEM_EXCHANGE, &op), -XEN_EINVAL);
  op.out.nr_extents = 2;
  op.in.domid = op.out.domid = 0x7123;
  check_answer("for a domain that is none", memory_op(XENMEM_EXCHANGE, &op), -XEN_ESRCH);
  op.in.domid = op.out.domid = DOMID_SELF;
  op.in.extents = (u32 *)FREE_LIN;
  check_answer("an unmapped list", memory_op(XENMEM_EXCHANGE, &op), -XEN_EFAULT);
  check_answer("an unmapped request", memory_op(XENMEM_EXCHANGE, (void *)FREE_LIN), -XEN_EFAULT);
}
