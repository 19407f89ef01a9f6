/* Without a failsafe callback a return that cannot be made is the end of the domain. */
#include "test.h"

static u32 USER_CODE never(u32 argument) { return argument; }

void test_main(void) {
  setup();
  hypercall4(HYPERVISOR_SET_CALLBACKS, KERNEL_CS, event_stub, KERNEL_CS, 0);
  user_cs = 0x103;
  user_call(never, 0);
  survived();
}
