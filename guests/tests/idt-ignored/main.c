/* Gates for vectors 2, 8, 15 and 0x1f are ignored before anything is checked; 8 is even sent as a task gate. */
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
