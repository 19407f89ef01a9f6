/*
 * Any exception but 7, 13 and 14 may have a trap gate, which then leaves irq_enabled alone; those three are reflected by
 * the Host, which looks at the flag when it pushes EFLAGS.
 */
#include "test.h"

static void expect(const char *what, u32 pushed) {
  check(fault.irq_enabled == 0, "%s: irq_enabled in the handler is %x", what, fault.irq_enabled);
  check((fault.eflags & EFLAGS_IF) == pushed, "%s: IF pushed as %x, wanted %x", what, fault.eflags & EFLAGS_IF, pushed);
}

static void trap_gate(u32 vector) { load_gate(vector, (u32)trap_stubs + 16 * vector, SYSDESC_TRAP_GATE32, 0); }

void test_main(void) {
  setup();
  trap_gate(VECTOR_UD);
  trap_gate(VECTOR_GP);
  trap_gate(VECTOR_PF);
  lguest_data.irq_enabled = 0;
  TRY("ud2", :);
  expect("invalid opcode", EFLAGS_IF);
  lguest_data.irq_enabled = 0;
  TRY("hlt", :);
  expect("general protection", 0);
  lguest_data.irq_enabled = 0;
  TRY("movl 0x40000000, %%eax", : : : "eax");
  expect("page fault", 0);
  lguest_data.irq_enabled = EFLAGS_IF;
  TRY("ud2", :);
  check_equal("irq_enabled in the handler of a trap gate", fault.irq_enabled, EFLAGS_IF);
  TRY("movl 0x40000000, %%eax", : : : "eax");
  check_equal("irq_enabled in a page fault's trap-gate handler", fault.irq_enabled, EFLAGS_IF);
}
