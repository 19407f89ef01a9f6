/* The grant table: its size and version, and its frames mapped by update_va_mapping; what is granted to nobody is nobody's. */
#include "test.h"

struct setup {
  u16 domid, unused;
  u32 frames;
  s16 status;
  u16 unused2;
  u32 *list;
};

static void check_status(const char *what, s16 found, s32 wanted) { check_answer(what, found, wanted); }

void test_main(void) {
  setup();
  struct {
    u16 domid, unused;
    u32 frames, max;
    s16 status;
    u16 unused2;
  } size = {DOMID_SELF, 0, 0, 0, 9, 0};
  check_answer("query_size", grant_table_op(GNTTABOP_QUERY_SIZE, &size, 1), 0);
  check_status("its status", size.status, GNTST_OKAY);
  check_equal("the most frames", size.max, GRANT_MAX_FRAMES);
  u32 frames[4] = {0};
  struct setup op = {DOMID_SELF, 0, 2, 9, 0, frames};
  check_answer("setup_table", grant_table_op(GNTTABOP_SETUP_TABLE, &op, 1), 0);
  check_status("its status", op.status, GNTST_OKAY);
  check(frames[0] && frames[1] && frames[0] != frames[1], "frames %x and %x", frames[0], frames[1]);
  check_answer("mapping one", map(FREE_LIN, (pte_t)frames[0] << 12 | KERNEL_FLAGS), 0);
  volatile u16 *entries = (volatile u16 *)FREE_LIN;
  check_equal("the console's page is granted", entries[0] & GTF_TYPE_MASK, GTF_PERMIT_ACCESS);
  check_equal("to domain 0", entries[1], 0);
  check_equal("it is", peek(FREE_LIN + 4), start_info->console_mfn);
  check_equal("the store's page", peek(FREE_LIN + 12), start_info->store_mfn);
  poke(FREE_LIN + 64, 0x12345678);
  check_equal("an entry", peek(FREE_LIN + 64), 0x12345678);
  poke(FREE_LIN + 64, 0);
  op.frames = GRANT_MAX_FRAMES + 1;
  grant_table_op(GNTTABOP_SETUP_TABLE, &op, 1);
  check(op.status < 0, "too many frames have status %d", op.status);
  op = (struct setup){0x7123, 0, 1, 9, 0, frames};
  grant_table_op(GNTTABOP_SETUP_TABLE, &op, 1);
  check_status("the table of a domain that is none", op.status, GNTST_BAD_DOMAIN);
  u32 version = 1;
  check_answer("version 1", grant_table_op(GNTTABOP_SET_VERSION, &version, 1), 0);
  struct {
    u16 domid, unused;
    u32 version;
  } get = {DOMID_SELF, 0, 0};
  check_answer("get_version", grant_table_op(GNTTABOP_GET_VERSION, &get, 1), 0);
  check_equal("the version", get.version, 1);
  version = 3;
  check_answer("version 3", grant_table_op(GNTTABOP_SET_VERSION, &version, 1), -XEN_EINVAL);
  check_answer("a command that is none", grant_table_op(99, &op, 1), -XEN_ENOSYS);
  check_answer("an unmapped list", grant_table_op(GNTTABOP_QUERY_SIZE, (void *)(FREE_LIN + 0x100000), 1), -XEN_EFAULT);
}
