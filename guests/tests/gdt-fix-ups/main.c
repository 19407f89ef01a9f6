/*
 * LOAD_GDT_ENTRY raises DPL 0 to 1 and sets the accessed bit; entries 10, 11, 16 and 31 are the Host's and do not change.
 */
#include "test.h"

static u32 access_rights(u32 selector) {
  u32 rights = 0;
  __asm__("larl %1, %0" : "+r"(rights) : "r"(selector));
  return rights;
}

static u32 limit(u32 selector) {
  u32 bytes = 0;
  __asm__("lsll %1, %0" : "+r"(bytes) : "r"(selector));
  return bytes;
}

void test_main(void) {
  static const u8 reserved[] = {10, 11, 16, 31};
  setup();
  struct descriptor entry = descriptor(0, 0x12345, 0x92, 0x4);
  hcall3(LHCALL_LOAD_GDT_ENTRY, 20, entry.low, entry.high);
  check_equal("rights of a DPL 0 entry", access_rights(20 << 3 | 1) & 0x00f0ff00, 0x0040b300);
  check_equal("its limit", limit(20 << 3 | 1), 0x12345);
  entry = descriptor(0, 0xfff, 0xf2, 0xc);
  hcall3(LHCALL_LOAD_GDT_ENTRY, 21, entry.low, entry.high);
  check_equal("rights of a DPL 3 entry", access_rights(21 << 3 | 3) & 0x00f0ff00, 0x00c0f300);
  check_equal("its limit", limit(21 << 3 | 3), 0xffffff);
  for (u32 i = 0; i < COUNT_OF(reserved); i++) {
    entry = descriptor(0, 0x12345, 0xb3, 0x4);
    hcall3(LHCALL_LOAD_GDT_ENTRY, reserved[i], entry.low, entry.high);
    check(limit(reserved[i] << 3 | 1) != 0x12345, "entry %u took our descriptor", reserved[i]);
  }
  check_equal("the kernel still has its code segment", access_rights(KERNEL_CS) & 0x00f0ff00, 0x00c0bb00);
}
