/* The iret call cannot lead to ring 0: the domain dies. */
#include "test.h"

void test_main(void) {
  setup();
  __asm__ volatile("pushl $0x202; pushl %0; pushl $1f; pushl $0; movl %1, %%eax; int %2; 1:" : : "i"(KERNEL_CS & ~3),
                   "i"(HYPERVISOR_IRET), "i"(TRAP_HYPERCALL) : "eax");
  survived();
}
