/* A page table outside the guest's memory kills. */
#include "test.h"

void test_main(void) {
  lg_init();
  new_pgtable(0xf0000000);
  peek(0x100000);
  survived();
}
