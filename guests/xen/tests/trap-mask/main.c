/* A gate with bit 2 of its flags sets the upcall mask on entry, one without leaves it alone; the frame keeps what it was. */
#include "test.h"

static void fault_with(u32 flags, u32 mask) {
  struct trap_info table[2] = {trap_entry(VECTOR_UD, flags)};
  set_trap_table(table);
  vcpu->upcall_mask = mask;
  TRY("ud2", :);
  check_equal("the mask after the handler", vcpu->upcall_mask, mask);
  vcpu->upcall_mask = 1;
  check_equal("the saved mask", fault.saved_mask, mask);
  check_equal("IF in the frame", fault.eflags & EFLAGS_IF, mask ? 0 : EFLAGS_IF);
  check_equal("the mask in the handler", fault.mask, flags & TRAP_INFO_MASK_EVENTS ? 1 : mask);
  check_equal("the true IF in the handler", fault.live_eflags & EFLAGS_IF, EFLAGS_IF);
}

void test_main(void) {
  setup();
  fault_with(0, 0);
  fault_with(0, 1);
  fault_with(TRAP_INFO_MASK_EVENTS, 0);
  fault_with(TRAP_INFO_MASK_EVENTS, 1);
}
