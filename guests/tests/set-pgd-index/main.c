/* SET_PGD with an index far outside the table kills. */
#include "test.h"

void test_main(void) {
  setup();
  hcall2(LHCALL_SET_PGD, first_directory, 5000);
  survived();
}
