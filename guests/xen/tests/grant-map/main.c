/* map_grant_ref and unmap_grant_ref of a page that a domain grants itself: rights, marks in its entry, statuses of bad requests. */
#include "test.h"

struct map {
  u64 address;
  u32 flags, ref;
  u16 domid;
  s16 status;
  u32 handle;
  u64 bus;
};
struct unmap {
  u64 address, bus;
  u32 handle;
  s16 status;
  u16 unused;
};

static struct {
  u16 domid, unused;
  u32 frames;
  s16 status;
  u16 unused2;
  u32 *list;
} table;

static u16 own_domid(void) {
  struct channel_status op = {DOMID_SELF, 0, 0, 0, 0, 0, 0, 0};
  struct alloc_unbound open = {DOMID_SELF, DOMID_SELF, 0};
  event_channel_op(EVTCHNOP_ALLOC_UNBOUND, &open);
  op.port = open.port;
  event_channel_op(EVTCHNOP_STATUS, &op);
  return op.remote_domid;
}

static struct map request(u32 flags, u32 ref, u16 domid) {
  return (struct map){FREE_LIN, flags, ref, domid, 9, 0, 0};
}

void test_main(void) {
  setup();
  u32 frame, *page = alloc_page();
  table.domid = DOMID_SELF;
  table.frames = 1;
  table.list = &frame;
  grant_table_op(GNTTABOP_SETUP_TABLE, &table, 1);
  map(FREE_LIN + 0x200000, (pte_t)frame << 12 | KERNEL_FLAGS);
  volatile struct {
    u16 flags, domid;
    u32 frame;
  } *entries = (void *)(FREE_LIN + 0x200000);
  u16 self = own_domid();
  entries[8].domid = self;
  entries[8].frame = mfn_of(page);
  entries[8].flags = GTF_PERMIT_ACCESS;
  entries[9].domid = self;
  entries[9].frame = mfn_of(page);
  entries[9].flags = GTF_PERMIT_ACCESS | GTF_READONLY;
  l1_table(FREE_LIN);
  struct map op = request(GNTMAP_HOST_MAP, 8, self);
  check_answer("mapping", grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1), 0);
  check_answer("its status", op.status, GNTST_OKAY);
  poke(FREE_LIN + 4, 0x1234);
  check_equal("the page through both", page[1], 0x1234);
  check_equal("marks", entries[8].flags & (GTF_READING | GTF_WRITING), GTF_READING | GTF_WRITING);
  struct unmap back = {FREE_LIN, 0, op.handle, 9, 0};
  check_answer("unmapping", grant_table_op(GNTTABOP_UNMAP_GRANT_REF, &back, 1), 0);
  check_answer("its status", back.status, GNTST_OKAY);
  check_equal("marks", entries[8].flags & (GTF_READING | GTF_WRITING), 0);
  TRY("movl (%0), %%eax", : : "r"(FREE_LIN) : "eax");
  expect_page_fault("after that", FREE_LIN, 0);
  back.status = 9;
  grant_table_op(GNTTABOP_UNMAP_GRANT_REF, &back, 1);
  check_answer("unmapping again", back.status, (s16)GNTST_BAD_HANDLE);
  op = request(GNTMAP_HOST_MAP, 9, self);
  grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1);
  check(op.status < 0, "a read-only grant is mapped writable with %d", op.status);
  op = request(GNTMAP_HOST_MAP | GNTMAP_READONLY, 9, self);
  grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1);
  check_answer("mapping it read-only", op.status, GNTST_OKAY);
  expect_read_only("the page", (void *)FREE_LIN);
  check_equal("marks", entries[9].flags & (GTF_READING | GTF_WRITING), GTF_READING);
  back = (struct unmap){FREE_LIN, 0, op.handle, 9, 0};
  grant_table_op(GNTTABOP_UNMAP_GRANT_REF, &back, 1);
  op = request(GNTMAP_HOST_MAP, 8, 0x7123);
  grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1);
  check_answer("of a domain that is none", op.status, (s16)GNTST_BAD_DOMAIN);
  op = request(GNTMAP_HOST_MAP, 0x10000, self);
  grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1);
  check_answer("a reference that is none", op.status, (s16)GNTST_BAD_GNTREF);
  op = request(0, 8, self);
  grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1);
  check(op.status < 0, "to nowhere: %d", op.status);
}
