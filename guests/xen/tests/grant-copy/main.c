/* GNTTABOP_copy within the domain: by frame or by reference, each entry with a status of its own. */
#include "test.h"

struct side {
  u32 ref;
  u16 domid, offset;
};
static struct copy {
  struct side source, target;
  u16 length, flags;
  s16 status;
  u16 unused;
} ops[6];

void test_main(void) {
  setup();
  u32 *from = alloc_page(), *to = alloc_page();
  for (u32 i = 0; i < 1024; i++)
    from[i] = i;
  struct side source = {mfn_of(from), DOMID_SELF, 16}, target = {mfn_of(to), DOMID_SELF, 32};
  ops[0] = (struct copy){source, target, 64, 0, 9, 0};
  ops[1] = (struct copy){{NO_MFN, DOMID_SELF, 0}, target, 64, 0, 9, 0};
  ops[2] = (struct copy){source, {mfn_of(l3_table()), DOMID_SELF, 0}, 64, 0, 9, 0};
  ops[3] = (struct copy){{mfn_of(from), DOMID_SELF, 4090}, target, 64, 0, 9, 0};
  ops[4] = (struct copy){{0x12345, 0, 0}, target, 64, GNTCOPY_SOURCE_GREF, 9, 0};
  ops[5] = (struct copy){{mfn_of(from), 0x7123, 0}, target, 64, 0, 9, 0};
  check_answer("the list", grant_table_op(GNTTABOP_COPY, ops, 6), 0);
  check_answer("frame to frame", ops[0].status, GNTST_OKAY);
  check_equal("the first word", to[8], 4);
  check_equal("the last word", to[23], 19);
  check_equal("the word behind", to[24], 0);
  check(ops[1].status < 0, "a frame that is none: %d", ops[1].status);
  check(ops[2].status < 0, "into a page table: %d", ops[2].status);
  check_answer("past the end of a page", ops[3].status, GNTST_BAD_COPY_ARG);
  check(ops[4].status < 0, "a reference that is none: %d", ops[4].status);
  check(ops[5].status < 0, "a domain that is none: %d", ops[5].status);
}
