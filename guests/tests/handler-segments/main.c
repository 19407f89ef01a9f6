/* Whatever selector a gate names, the handler runs with CS 0x61, and on SS 0x69 when it came from ring 3. */
#include "test.h"

static u32 USER_CODE int3(u32 argument) {
  __asm__ volatile("int3");
  return argument;
}

void test_main(void) {
  setup();
  u32 handler = (u32)trap_stubs + 16 * VECTOR_BP;
  hcall3(LHCALL_LOAD_IDT_ENTRY, VECTOR_BP, 0x00730000 | (handler & 0xffff), (handler & 0xffff0000) | 0xee00);
  TRY("int3", :);
  check_equal("CS in the handler, from ring 1", fault.handler_cs, LGUEST_KERNEL_CS);
  check_equal("SS in the handler, from ring 1", fault.handler_ss, LGUEST_KERNEL_DS);
  check_equal("CS pushed, from ring 1", fault.cs & 0xffff, LGUEST_KERNEL_CS);
  user_call(int3, 0);
  check_equal("CS in the handler, from ring 3", fault.handler_cs, LGUEST_KERNEL_CS);
  check_equal("SS in the handler, from ring 3", fault.handler_ss, LGUEST_KERNEL_DS);
  check_equal("CS pushed, from ring 3", fault.cs & 0xffff, USER_CS);
  check_equal("SS pushed, from ring 3", fault.ss & 0xffff, USER_DS);
}
