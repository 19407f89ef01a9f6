/* A page entry that points outside the guest's memory kills. */
#include "test.h"

#define WINDOW 0x40000000u

void test_main(void) {
  setup();
  map(first_directory, WINDOW, 0x70000000, KERNEL_FLAGS);
  peek(WINDOW);
  survived();
}
