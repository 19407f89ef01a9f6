/* When the last vCPU goes down the domain has powered off. */
#include "test.h"

void test_main(void) {
  setup();
  vcpu_op(VCPUOP_DOWN, 0, NULL);
  survived();
}
