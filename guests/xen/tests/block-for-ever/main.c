/* A domain that blocks with nothing that could wake it, its console's input at its end, never goes on: the Host says so. */
#include "test.h"

void test_main(void) {
  setup();
  sched_op(SCHEDOP_BLOCK, NULL);
  survived();
}
