/* A gate without the present bit clears the entry, whatever else it says; a trap that finds none kills. */
#include "test.h"

void test_main(void) {
  setup();
  hcall3(LHCALL_LOAD_IDT_ENTRY, VECTOR_UD, 0x00600000, 0x00000500);
  __asm__ volatile("ud2");
  survived();
}
