/* The text of SHUTDOWN is read from guest memory; an address outside of it is a bad read. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall2(LHCALL_SHUTDOWN, 0xf0000000, LGUEST_SHUTDOWN_POWEROFF);
  survived();
}
