/* A guest that halts with nothing to wake it sleeps for ever: it does not die and does not come back. */
#include "test.h"

void test_main(void) {
  setup();
  printk("halting with everything blocked\n");
  lguest_data.blocked_interrupts = 0xffffffff;
  hcall0(LHCALL_HALT);
  survived();
}
