/* SHUTDOWN with reason 2 asks for a restart, which is neither a power off nor a death. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall2(LHCALL_SHUTDOWN, "again", LGUEST_SHUTDOWN_RESTART);
  survived();
}
