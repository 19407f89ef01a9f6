/* SCHEDOP_shutdown with reason 0 is the end: powered off. */
#include "test.h"

void test_main(void) {
  printk("going down\n");
  shut_down(SHUTDOWN_POWEROFF);
}
