/* An NMI ends HALT although no interrupt may come; the guest goes on behind the call, with its flag on as after any HALT. */
#include "test.h"

static u32 nmis, wrong_flag;

static void hook(struct frame *frame) {
  nmis++;
  wrong_flag += (frame->eflags & EFLAGS_IF) == 0;
}

void test_main(void) {
  nmi_hook = hook;
  setup();
  for (u32 round = 1; round <= 2; round++) {
    interrupts_off();
    printk("an NMI, please\n");
    hcall0(LHCALL_HALT);
    check_equal("NMIs after HALT", nmis, round);
    check_equal("irq_enabled after HALT", lguest_data.irq_enabled, EFLAGS_IF);
  }
  check_equal("frames with the flag off", wrong_flag, 0);
}
