/* The older sched_op shuts down too, by the low byte of its argument. */
#include "test.h"

void test_main(void) {
  hypercall2(HYPERVISOR_SCHED_OP_COMPAT, SCHEDOP_SHUTDOWN, 0x12345600 | SHUTDOWN_REBOOT);
  survived();
}
