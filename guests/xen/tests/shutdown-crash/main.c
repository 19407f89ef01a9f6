/* SCHEDOP_shutdown with reason 3 says that the kernel crashed. */
#include "test.h"

void test_main(void) {
  shut_down(SHUTDOWN_CRASH);
}
