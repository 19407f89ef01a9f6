/* A frame never goes into Xen's area, whatever is mapped there. */
#include "test.h"

static u32 USER_CODE trap_here(u32 argument) {
  __asm__ volatile("ud2");
  return argument;
}

void test_main(void) {
  setup();
  stack_switch(KERNEL_DS, HYPERVISOR_VIRT_START + 0x1000);
  user_call(trap_here, 0);
  survived();
}
