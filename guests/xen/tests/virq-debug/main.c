/*
 * VIRQ_DEBUG comes to each vCPU that has bound it when the embedder asks, whether the vCPU is up or not; VIRQ_CONSOLE can be bound and never comes
 * to a domain whose console is a ring.
 */
#include "test.h"

#define AT(page, offset) (*(volatile u32 *)((u8 *)(page) + (offset)))

static u32 bind(u32 virq, u32 id) {
  struct bind_virq op = {virq, id, 0};
  check_answer("bind_virq", event_channel_op(EVTCHNOP_BIND_VIRQ, &op), 0);
  return op.port;
}

void test_main(void) {
  setup();
  u32 ports[2] = {bind(VIRQ_DEBUG, 0), bind(VIRQ_DEBUG, 1)};
  u32 console = bind(VIRQ_CONSOLE, 0);
  u8 *ring = page_of(start_info->console_mfn);
  unmask_bit(start_info->console_evtchn);
  printk("a debug event, and then a key, please\n");
  while (AT(ring, XENCONS_IN_PROD) == AT(ring, XENCONS_IN_CONS)) {
    sched_op(SCHEDOP_BLOCK, NULL);
    events_off();
  }
  u32 first = is_pending(ports[0]);
  check_equal("on the other vCPU", is_pending(ports[1]), first);
  check_equal("VIRQ_CONSOLE", is_pending(console), 0);
  printk(first ? "debug events\n" : "no debug event\n");
}
