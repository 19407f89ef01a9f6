/* The guest kernel must begin below what the Host keeps at the top of the address space. */
#include "test.h"

void test_main(void) {
  lguest_data.kernel_address = 0xfffff000;
  lg_init();
  survived();
}
