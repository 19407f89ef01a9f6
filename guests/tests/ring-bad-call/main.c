/* A call that would kill as a trap kills from the ring too. */
#include "test.h"

void test_main(void) {
  setup();
  ring_add(99, 0, 0, 0, 0);
  hcall0(LHCALL_FLUSH_ASYNC);
  survived();
}
