/* An iret in a multicall ends it: what follows is not performed, and EAX is the frame's. */
#include "test.h"

u32 mc_eax, mc_esp;
struct multicall_entry mc_list[3] = {
    {.op = HYPERVISOR_XEN_VERSION, .result = 7},
    {.op = HYPERVISOR_IRET, .result = 8},
    {.op = HYPERVISOR_XEN_VERSION, .result = 9},
};

void test_main(void) {
  setup();
  __asm__ volatile("pushl %%ebp; movl %%esp, mc_esp; pushl %0; pushl %1; pushl $1f; pushl $0x4321\n"
                   "movl $mc_list, %%ebx; movl $3, %%ecx; movl %2, %%eax; int %3\n"
                   "ud2; 1: movl %%eax, mc_eax; movl mc_esp, %%esp; popl %%ebp"
                   : : "i"(EFLAGS_FIXED), "i"(KERNEL_CS), "i"(HYPERVISOR_MULTICALL), "i"(TRAP_HYPERCALL)
                   : "eax", "ebx", "ecx", "memory");
  check_equal("EAX", mc_eax, 0x4321);
  check_equal("the first result", mc_list[0].result, XEN_VERSION);
  check_equal("the third result", mc_list[2].result, 9);
}
