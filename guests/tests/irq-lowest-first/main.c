/* Of several pending interrupts the lowest comes first, and irq_pending stays set until the last is on its way. */
#include "test.h"
#include "device-page.h"

void test_main(void) {
  struct page_console console;
  setup();
  console_start(&console);
  interrupts_off();
  lguest_data.blocked_interrupts = 0;
  console_send(&console, "both are pending\n");
  hcall1(LHCALL_SET_CLOCKEVENT, 1000);
  for (u32 i = 0; i < 1000000; i++)
    barrier();
  check_equal("delivered too early", irq_total, 0);
  check_equal("irq_pending", lguest_data.irq_pending, EFLAGS_IF);
  interrupts_on();
  for (u32 i = 0; i < 1000000 && irq_total < 2; i++)
    barrier();
  check_equal("delivered", irq_total, 2);
  check_equal("the first", irq_order[0], 0);
  check_equal("the second", irq_order[1], console.out_irq);
  check_equal("irq_pending at the end", lguest_data.irq_pending, 0);
}
