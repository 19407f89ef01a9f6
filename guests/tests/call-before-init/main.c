/* A hypercall before LGUEST_INIT kills: the Host does not know where lguest_data is. */
#include "test.h"

void test_main(void) {
  hcall1(LHCALL_FLUSH_TLB, 1);
  survived();
}
