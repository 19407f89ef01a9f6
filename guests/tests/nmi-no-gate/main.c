/* A guest without a gate for vector 2 never sees an NMI, before LGUEST_INIT, in linear mode and after; one that takes its gate back neither. */
#include "test.h"

static u32 nmis;

static void hook(struct frame *frame) {
  (void)frame;
  nmis++;
}

static void spin(void) {
  for (volatile u32 i = 0; i < 10000; i++)
    ;
}

void test_main(void) {
  nmi_hook = hook;
  spin();
  lg_init();
  spin();
  paging_init();
  spin();
  check_equal("NMIs before there was a gate", nmis, 0);
  traps_init();
  spin();
  check(nmis > 0, "no NMI although there is a gate");
  hcall3(LHCALL_LOAD_IDT_ENTRY, VECTOR_NMI, 0, 0);
  nmis = 0;
  spin();
  check_equal("NMIs after the gate was taken back", nmis, 0);
}
