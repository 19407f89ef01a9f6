/* A vector above 255 kills. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_LOAD_IDT_ENTRY, 256, 0x00600000, 0x00008e00);
  survived();
}
