/* The only system-call vector taken is 0x80 (and one alternative, when the Host was told of it). */
#include "test.h"

void test_main(void) {
  lguest_data.syscall_vec = 0x33;
  lg_init();
  survived();
}
