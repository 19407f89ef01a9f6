/* A call number with the top bit set is an unknown one, not a negative index. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall0(0xffffffff);
  survived();
}
