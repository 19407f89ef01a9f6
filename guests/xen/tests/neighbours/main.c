/*
 * Two domains of one machine, told by their command lines who they are. The front end, domain 1, grants a page to write, one to read and a
 * port to domain 2 and says so in xenstore; the back end maps, binds and works for it. Alone, there is nobody to talk to.
 */
#include "test.h"

#define FRONT 1
#define BACK 2
#define ROUNDS 100
#define REF_SHARED 8
#define REF_READ 9

struct map_ref {
  u64 host_addr;
  u32 flags, ref;
  u16 domid;
  s16 status;
  u32 handle;
  u64 bus;
};
struct unmap_ref {
  u64 host_addr, bus;
  u32 handle;
  s16 status;
  u16 unused;
};
struct side {
  u32 ref;
  u16 domid, offset;
};
struct copy {
  struct side source, target;
  u16 length, flags;
  s16 status;
  u16 unused;
};

static volatile u16 *grants = (volatile u16 *)FREE_LIN;
static volatile u32 *granted_frames = (volatile u32 *)FREE_LIN;

static void grant_table_init(void) {
  u32 frame;
  struct {
    u16 domid, unused;
    u32 frames;
    s16 status;
    u16 unused2;
    u32 *list;
  } op = {DOMID_SELF, 0, 1, 9, 0, &frame};
  check_answer("setup_table", grant_table_op(GNTTABOP_SETUP_TABLE, &op, 1), 0);
  check_answer("mapping it", map(FREE_LIN, (pte_t)frame << 12 | KERNEL_FLAGS), 0);
}

static void grant(u32 ref, u32 flags, const void *page) {
  granted_frames[2 * ref + 1] = mfn_of(page);
  grants[4 * ref + 1] = BACK;
  barrier();
  grants[4 * ref] = GTF_PERMIT_ACCESS | flags;
}

static void publish(const char *path, u32 value) {
  char payload[64];
  u32 length = format(payload, sizeof payload, "%s", path) + 1;
  store_ask(XS_WRITE, payload, length + format(payload + length, sizeof payload - length, "%u", value));
  check_equal("writing a key", store_answer.type, XS_WRITE);
  length += format(payload + length, sizeof payload - length, "n%u", FRONT) + 1;
  length += format(payload + length, sizeof payload - length, "r%u", BACK) + 1;
  store_ask(XS_SET_PERMS, payload, length);
  check_equal("its rights", store_answer.type, XS_SET_PERMS);
}

static u32 look_up(const char *path) {
  store_ask(XS_READ, path, strlen(path) + 1);
  return store_answer.type == XS_READ ? parse_number(store_text, NO_FAULT) : NO_FAULT;
}

static void await_port(u32 port) {
  wait_for_port(port);
  shared->evtchn_pending[port / 32] &= ~(1u << port % 32);
}

/* What code is at `page`, called as a function: both domains write it, this one runs it. */
static u32 run_code(const volatile void *page) { return ((u32(*)(void))page)(); }

static void front(void) {
  grant_table_init();
  volatile u32 *page = alloc_page(), *table = alloc_page();
  for (u32 i = 0; i < 1024; i++)
    table[i] = i * i;
  grant(REF_SHARED, 0, (void *)page);
  grant(REF_READ, GTF_READONLY, (void *)table);
  struct alloc_unbound open = {DOMID_SELF, BACK, 0};
  check_answer("alloc_unbound", event_channel_op(EVTCHNOP_ALLOC_UNBOUND, &open), 0);
  publish("data/ring-ref", REF_SHARED);
  publish("data/table-ref", REF_READ);
  publish("data/port", open.port);
  publish("data/ready", 1);
  await_port(open.port); /* the other end is bound, and says so with its first event */
  check_equal("the port", status_of(open.port), EVTCHNSTAT_INTERDOMAIN);
  check_equal("the page is written", grants[4 * REF_SHARED] & (GTF_READING | GTF_WRITING), GTF_READING | GTF_WRITING);
  check_equal("the table is read", grants[4 * REF_READ] & (GTF_READING | GTF_WRITING), GTF_READING);
  /* mov $0, %eax; ret: the other domain changes the number. */
  page[512] = 0x000000b8;
  page[513] = 0x0000c300;
  for (u32 i = 1; i <= ROUNDS; i++) {
    page[0] = i;
    event_channel_op(EVTCHNOP_SEND, &open.port);
    await_port(open.port);
    check_equal("the work done", page[1], i * i + i);
    check_equal("the code that was changed", run_code(page + 512), 3 * i);
  }
  page[0] = 0;
  event_channel_op(EVTCHNOP_SEND, &open.port);
  store_ask(XS_WATCH, "/local/domain/2/data/done\0done", 31);
  while (look_up("/local/domain/2/data/done") != 1)
    store_await_event();
  check_equal("nobody uses the page", grants[4 * REF_SHARED], GTF_PERMIT_ACCESS);
  check_equal("nobody uses the table", grants[4 * REF_READ], GTF_PERMIT_ACCESS | GTF_READONLY);
  check_equal("what was copied into it", page[2], 77);
  check_equal("the port that the other end closed", status_of(open.port), EVTCHNSTAT_UNBOUND);
}

static u32 map_ref(u32 ref, u32 flags, u32 lin) {
  struct map_ref op = {lin, flags | GNTMAP_HOST_MAP, ref, FRONT, 9, 0, 0};
  l1_table(lin);
  check_answer("map_grant_ref", grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1), 0);
  check_answer("its status", op.status, GNTST_OKAY);
  return op.handle;
}

static void unmap_ref(u32 handle, u32 lin) {
  struct unmap_ref op = {lin, 0, handle, 9, 0};
  check_answer("unmap_grant_ref", grant_table_op(GNTTABOP_UNMAP_GRANT_REF, &op, 1), 0);
  check_answer("its status", op.status, GNTST_OKAY);
  TRY("movl (%0), %%eax", : : "r"(lin) : "eax");
  expect_fault("the page that is gone", VECTOR_PF, 0);
}

static void back(void) {
  u32 lin = FREE_LIN + PAGE_SIZE, table_lin = lin + PAGE_SIZE;
  volatile u32 *page = (volatile u32 *)lin, *table = (volatile u32 *)table_lin;
  store_ask(XS_WATCH, "/local/domain/1/data/ready\0ready", 33);
  while (look_up("/local/domain/1/data/ready") != 1)
    store_await_event();
  u32 ref = look_up("/local/domain/1/data/ring-ref");
  u32 handle = map_ref(ref, 0, lin);
  u32 table_handle = map_ref(look_up("/local/domain/1/data/table-ref"), GNTMAP_READONLY, table_lin);
  expect_read_only("a page to read", table);
  struct bind_interdomain bind = {FRONT, 0, look_up("/local/domain/1/data/port"), 0};
  check_answer("bind_interdomain", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &bind), 0);
  check(is_pending(bind.port), "what was sent before is lost");
  shared->evtchn_pending[0] = 0;
  event_channel_op(EVTCHNOP_SEND, &bind.port);
  for (;;) {
    await_port(bind.port);
    u32 number = page[0];
    if (!number)
      break;
    page[1] = table[number] + number;
    *(volatile u32 *)(lin + 512 * 4 + 1) = 3 * number;
    event_channel_op(EVTCHNOP_SEND, &bind.port);
  }
  u32 *own = alloc_page();
  own[0] = 77;
  struct copy copy = {{mfn_of(own), DOMID_SELF, 0}, {ref, FRONT, 8}, 4, GNTCOPY_DEST_GREF, 9, 0};
  check_answer("copy", grant_table_op(GNTTABOP_COPY, &copy, 1), 0);
  check_answer("its status", copy.status, GNTST_OKAY);
  unmap_ref(handle, lin);
  unmap_ref(table_handle, table_lin);
  check_answer("close", event_channel_op(EVTCHNOP_CLOSE, &bind.port), 0);
  store_ask(XS_WRITE, "data/done\0" "1", 11);
  store_ask(XS_SET_PERMS, "data/done\0n2\0r1", 16);
  /* A domain's directory goes with it. */
  while (look_up("/local/domain/1/data/ready") == 1)
    store_await_event();
}

static void alone(void) {
  struct map_ref op = {FREE_LIN, GNTMAP_HOST_MAP, 8, BACK, 9, 0, 0};
  check_answer("map_grant_ref", grant_table_op(GNTTABOP_MAP_GRANT_REF, &op, 1), 0);
  check_answer("its status", op.status, GNTST_BAD_DOMAIN);
  struct bind_interdomain bind = {BACK, 0, 1, 0};
  check_answer("bind_interdomain", event_channel_op(EVTCHNOP_BIND_INTERDOMAIN, &bind), -XEN_ESRCH);
  STORE_ASK(XS_READ, "/local/domain/2/domid");
  check_equal("another domain's directory", store_answer.type, XS_ERROR);
}

void test_main(void) {
  setup();
  store_init();
  if (strstr(start_info->cmd_line, "front"))
    front();
  else if (strstr(start_info->cmd_line, "back"))
    back();
  else
    alone();
}
