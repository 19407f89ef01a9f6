/* LOAD_TLS reads guest memory; an address outside of it is a bad read. */
#include "test.h"

void test_main(void) {
  setup();
  hcall2(LHCALL_LOAD_TLS, 0xf0000000, 0);
  survived();
}
