/* The table has 32 entries: index 32 kills. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_LOAD_GDT_ENTRY, 32, 0x0000ffff, 0x00cf9300);
  survived();
}
