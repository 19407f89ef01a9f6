/* xenstore over its ring: one request at a time, and the watch events that come between. */
#include "test.h"

#define AT(page, offset) (*(volatile u32 *)((u8 *)(page) + (offset)))

struct store_header store_answer;
char store_text[1024];
u32 store_events;
char store_event[64];

static u8 *ring;
static u32 port;

void store_init(void) {
  ring = page_of(start_info->store_mfn);
  port = start_info->store_evtchn;
  check_equal("the store's connection", AT(ring, XENSTORE_CONNECTION), XENSTORE_CONNECTED);
}

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

static int has_answer(void) { return AT(ring, XENSTORE_RSP_PROD) != AT(ring, XENSTORE_RSP_CONS); }

static void receive(void *bytes, u32 length) {
  u8 *to = bytes;
  for (u32 i = 0; i < length; i++) {
    while (!has_answer())
      sched_op(SCHEDOP_YIELD, NULL);
    u32 at = AT(ring, XENSTORE_RSP_CONS);
    to[i] = ring[XENSTORE_RSP + at % XENSTORE_RING_BYTES];
    AT(ring, XENSTORE_RSP_CONS) = at + 1;
  }
}

static void take(void) {
  memset(store_text, 0, sizeof store_text);
  receive(&store_answer, sizeof store_answer);
  receive(store_text, store_answer.length);
  if (store_answer.type != XS_WATCH_EVENT)
    return;
  store_events++;
  memcpy(store_event, store_text, sizeof store_event);
}

void store_ask(u32 type, const char *payload, u32 length) {
  static u32 id;
  struct store_header header = {type, ++id, 0, length};
  send(&header, sizeof header);
  send(payload, length);
  event_channel_op(EVTCHNOP_SEND, &port);
  do
    take();
  while (store_answer.type == XS_WATCH_EVENT);
  check_equal("the answer's number", store_answer.id, id);
}

void store_await_event(void) {
  while (!has_answer()) {
    wait_for_port(port);
    shared->evtchn_pending[port / 32] &= ~(1u << port % 32);
  }
  take();
}
