/*
 * An interrupt gate clears lguest_data.irq_enabled and pushes the old flag in EFLAGS; a trap gate leaves it alone and
 * always pushes it as set. EFLAGS.IF itself is always 1.
 */
#include "test.h"

static void expect(const char *what, u32 entry, u32 pushed) {
  char text[64];
  format(text, sizeof text, "%s: irq_enabled in the handler", what);
  check_equal(text, fault.irq_enabled, entry);
  format(text, sizeof text, "%s: IF pushed", what);
  check_equal(text, fault.eflags & EFLAGS_IF, pushed);
  format(text, sizeof text, "%s: IF in the handler", what);
  check_equal(text, fault.live_eflags & EFLAGS_IF, EFLAGS_IF);
}

void test_main(void) {
  setup();
  lguest_data.irq_enabled = EFLAGS_IF;
  TRY("int3", :);
  expect("interrupt gate, on", 0, EFLAGS_IF);
  check_equal("irq_enabled after the return", lguest_data.irq_enabled, EFLAGS_IF);
  lguest_data.irq_enabled = 0;
  TRY("int3", :);
  expect("interrupt gate, off", 0, 0);
  check_equal("irq_enabled after the return", lguest_data.irq_enabled, 0);
  lguest_data.irq_enabled = EFLAGS_IF;
  TRY("int $0x80", :);
  expect("trap gate, on", EFLAGS_IF, EFLAGS_IF);
  lguest_data.irq_enabled = 0;
  TRY("int $0x80", :);
  expect("trap gate, off", 0, EFLAGS_IF);
}
