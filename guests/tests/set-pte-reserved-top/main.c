/* The top of the address space belongs to the Host: SET_PTE there kills. */
#include "test.h"

void test_main(void) {
  setup();
  if (!lguest_data.reserve_mem)
    skip("this Host keeps no part of the address space");
  set_pte(first_directory, 0xfffff000, alloc_page() | KERNEL_FLAGS);
  survived();
}
