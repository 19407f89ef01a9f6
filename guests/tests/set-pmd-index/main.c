/* SET_PMD (PAE) with an index outside the table kills. */
#include "test.h"

void test_main(void) {
  setup();
  hcall2(LHCALL_SET_PMD, alloc_page(), 512);
  survived();
}
