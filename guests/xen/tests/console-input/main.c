/* What is typed arrives in the console's ring with an event on its port; what was taken makes room for more. */
#include "test.h"

#define AT(page, offset) (*(volatile u32 *)((u8 *)(page) + (offset)))

void test_main(void) {
  setup();
  u32 port = start_info->console_evtchn;
  u8 *ring = page_of(start_info->console_mfn);
  unmask_bit(port);
  char line[32];
  u32 length = 0;
  while (length < 6) {
    while (AT(ring, XENCONS_IN_PROD) == AT(ring, XENCONS_IN_CONS)) {
      sched_op(SCHEDOP_BLOCK, NULL);
      events_off();
    }
    u32 at = AT(ring, XENCONS_IN_CONS);
    line[length++] = ring[XENCONS_IN + at % XENCONS_IN_BYTES];
    AT(ring, XENCONS_IN_CONS) = at + 1;
  }
  check(!strncmp(line, "hello\n", 6), "the line is %s", line);
  check(event_counts[port] > 0 || is_pending(port), "there was no event");
}
