/* An iret call whose frame cannot be read is the end of the domain. */
#include "test.h"

void test_main(void) {
  setup();
  __asm__ volatile("movl %0, %%esp; movl %1, %%eax; int %2" : : "r"(FREE_LIN), "i"(HYPERVISOR_IRET),
                   "i"(TRAP_HYPERCALL) : "eax");
  survived();
}
