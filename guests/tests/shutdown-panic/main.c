/* SHUTDOWN with a text that is not a power off is a panic, and the text is its reason. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall2(LHCALL_SHUTDOWN, "the sky is falling", LGUEST_SHUTDOWN_POWEROFF);
  survived();
}
