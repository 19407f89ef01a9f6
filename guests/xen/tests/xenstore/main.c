/* The store's ring: requests and answers with their numbers, paths of the domain's own, errors as words, a watch that fires at once. */
#include "test.h"

#define AT(page, offset) (*(volatile u32 *)((u8 *)(page) + (offset)))

static u8 *ring;
static u32 port;

struct header {
  u32 type, id, transaction, length;
};

static void send(const void *bytes, u32 length) {
  const u8 *from = bytes;
  for (u32 i = 0; i < length; i++) {
    while (AT(ring, XENSTORE_REQ_PROD) - AT(ring, XENSTORE_REQ_CONS) == XENSTORE_RING_BYTES) {
      event_channel_op(EVTCHNOP_SEND, &port);
      sched_op(SCHEDOP_YIELD, NULL);
    }
    u32 at = AT(ring, XENSTORE_REQ_PROD);
    ring[XENSTORE_REQ + at % XENSTORE_RING_BYTES] = from[i];
    AT(ring, XENSTORE_REQ_PROD) = at + 1;
  }
}
static void receive(void *bytes, u32 length) {
  u8 *to = bytes;
  for (u32 i = 0; i < length; i++) {
    while (AT(ring, XENSTORE_RSP_PROD) == AT(ring, XENSTORE_RSP_CONS))
      sched_op(SCHEDOP_YIELD, NULL);
    u32 at = AT(ring, XENSTORE_RSP_CONS);
    to[i] = ring[XENSTORE_RSP + at % XENSTORE_RING_BYTES];
    AT(ring, XENSTORE_RSP_CONS) = at + 1;
  }
}

static struct header answer;
static char text[1024];
static u32 watch_events;
static char event[64];

static void take(void) {
  memset(text, 0, sizeof text);
  receive(&answer, sizeof answer);
  receive(text, answer.length);
  if (answer.type != XS_WATCH_EVENT)
    return;
  watch_events++;
  memcpy(event, text, sizeof event);
}
static void ask(u32 type, const char *payload, u32 length) {
  static u32 id;
  struct header header = {type, ++id, 0, length};
  send(&header, sizeof header);
  send(payload, length);
  event_channel_op(EVTCHNOP_SEND, &port);
  do
    take();
  while (answer.type == XS_WATCH_EVENT);
  check_equal("the answer's number", answer.id, id);
}
#define ASK(type, payload) ask(type, payload, sizeof(payload))

void test_main(void) {
  setup();
  ring = page_of(start_info->store_mfn);
  port = start_info->store_evtchn;
  check_equal("connected", AT(ring, XENSTORE_CONNECTION), XENSTORE_CONNECTED);
  ASK(XS_READ, "domid");
  check_equal("the answer's type", answer.type, XS_READ);
  check(text[0] >= '1' && text[0] <= '9', "domid is %s", text);
  ASK(XS_READ, "data/nothing");
  check_equal("what is not there", answer.type, XS_ERROR);
  check(!strcmp(text, "ENOENT"), "the error is %s", text);
  ask(XS_WRITE, "data/test\0value", 15);
  check_equal("a write", answer.type, XS_WRITE);
  ASK(XS_READ, "data/test");
  check(!strcmp(text, "value"), "what was written is %s", text);
  ask(XS_WATCH, "data/test\0token", 16);
  check_equal("a watch", answer.type, XS_WATCH);
  ASK(XS_READ, "domid");
  check_equal("it fires at once", watch_events, 1);
  check(!strcmp(event, "data/test") && !strcmp(event + 10, "token"), "it says %s %s", event, event + 10);
  ASK(XS_RM, "data/test");
  check_equal("the node goes", answer.type, XS_RM);
  ASK(XS_READ, "domid");
  check_equal("it fires for that", watch_events, 2);
  ASK(XS_READ, "/local/domain/0/secret");
  check_equal("another domain's", answer.type, XS_ERROR);
  ask(99, "", 0);
  check_equal("a type that is none", answer.type, XS_ERROR);
}
