/*
 * Gates for vectors 8, 15 and 0x1f are ignored before anything is checked; 8 is even sent as a task gate. One for vector 2
 * that cannot be used is no death either: the original never looked at it.
 */
#include "test.h"

void test_main(void) {
  static const u8 vectors[] = {2, 8, 15, 0x1f};
  setup();
  for (u32 i = 0; i < COUNT_OF(vectors); i++) {
    hcall3(LHCALL_LOAD_IDT_ENTRY, vectors[i], 0x00f80000, 0x00008500);
    hcall3(LHCALL_LOAD_IDT_ENTRY, vectors[i], 0, 0);
  }
  hcall0(LHCALL_FLUSH_ASYNC);
}
