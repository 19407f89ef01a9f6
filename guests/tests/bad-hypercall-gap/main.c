/* The numbers 3, 11 and 12 were never given a meaning: 12 kills like any other unknown one. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall0(12);
  survived();
}
