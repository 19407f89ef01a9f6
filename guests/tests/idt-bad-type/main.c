/* Only interrupt gates (type 0xE) and trap gates (0xF) are taken: a task gate kills. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_LOAD_IDT_ENTRY, 9, 0x00f80000, 0x00008500);
  survived();
}
