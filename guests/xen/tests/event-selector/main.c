/* Each word of pending bits has its bit in the selector; all that is pending comes with one upcall. */
#include "test.h"

void test_main(void) {
  setup();
  u32 ports[80];
  for (u32 i = 0; i < COUNT_OF(ports); i++) {
    ports[i] = bind_ipi();
    unmask_bit(ports[i]);
  }
  u32 wanted = 0;
  for (u32 i = 0; i < COUNT_OF(ports); i += 13) {
    event_channel_op(EVTCHNOP_SEND, &ports[i]);
    wanted |= 1u << ports[i] / 32;
  }
  check_equal("the selector", vcpu->pending_sel, wanted);
  events_on();
  check_equal("upcalls", upcalls, 1);
  for (u32 i = 0; i < COUNT_OF(ports); i++)
    check_equal("events", event_counts[ports[i]], i % 13 == 0);
}
