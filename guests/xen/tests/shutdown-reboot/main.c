/* SCHEDOP_shutdown with reason 1 asks for a restart. */
#include "test.h"

void test_main(void) {
  shut_down(SHUTDOWN_REBOOT);
}
