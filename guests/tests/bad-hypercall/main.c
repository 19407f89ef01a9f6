/* A number without a meaning kills, by number. */
#include "test.h"

void test_main(void) {
  lg_init();
  hcall0(99);
  survived();
}
