/* In linear mode there is nothing behind the end of memory: touching it kills. */
#include "test.h"

void test_main(void) {
  lg_init();
  peek(ram_bytes() + 0x10000000);
  survived();
}
