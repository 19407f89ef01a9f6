/* The descriptor page above RAM lists a console with two queues of their own interrupts; what is sent comes back used. */
#include "test.h"
#include "device-page.h"

void test_main(void) {
  struct page_console console;
  setup();
  console_start(&console);
  check(console.in_irq > 0 && console.in_irq < 16, "input interrupt %u", console.in_irq);
  check(console.out_irq > 0 && console.out_irq < 16 && console.out_irq != console.in_irq, "output interrupt %u",
        console.out_irq);
  check(console.out_address >= ram_bytes() + PAGE_SIZE, "ring at %p", (void *)console.out_address);
  lguest_data.blocked_interrupts = 0;
  for (u32 i = 1; i <= 300; i++) {
    if (!console_send(&console, "through the ring\n"))
      failure("request %u was not used", i);
  }
  interrupts_on();
  check(irq_counts[console.out_irq] > 0, "no interrupt from the console");
}
