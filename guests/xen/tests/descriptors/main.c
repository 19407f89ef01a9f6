/* update_descriptor: which descriptors may be, what becomes of their DPL, and where they may be written. */
#include "test.h"

static u64 table[512] __attribute__((aligned(4096)));

static s32 put(u64 value) { return update_descriptor(machine(table + 5), value); }

static void check_put(const char *what, u64 value, s32 answer, u64 found) {
  table[5] = 0;
  check_answer(what, put(value), answer);
  check(table[5] == found, "%s is stored as %llx, wanted %llx", what, table[5], found);
}
static void refused(const char *what, u64 value) { check_put(what, value, -XEN_EINVAL, 0); }

void test_main(void) {
  setup();
  u64 data = descriptor(0x1000, 0xfffff, 0xf3, 0xc);
  check_put("data of ring 3", data, 0, data);
  check_put("nothing", 0, 0, 0);
  check_put("a TSS that is not present", descriptor(0, 103, 0x09, 0), 0, descriptor(0, 103, 0x09, 0));
  check_put("data of ring 0", descriptor(0x1000, 1, 0x93, 0xc), 0, descriptor(0x1000, 1, 0xb3, 0xc));
  check_put("code of ring 0", descriptor(0x1000, 1, 0x9b, 0xc), 0, descriptor(0x1000, 1, 0xbb, 0xc));
  check_put("data of ring 1", descriptor(0, 1, 0xb3, 0xc), 0, descriptor(0, 1, 0xb3, 0xc));
  check_put("conforming code", descriptor(0, 1, 0xbf, 0xc), 0, descriptor(0, 1, 0xbf, 0xc));
  check_put("a flat segment into Xen's area", descriptor(0, 0xf67ff, 0xf3, 0xc), 0, descriptor(0, 0xfffff, 0xf3, 0xc));
  check_put("a flat segment below it", descriptor(0, 0xf57ff, 0xf3, 0xc), 0, descriptor(0, 0xf57ff, 0xf3, 0xc));
  refused("64-bit code", descriptor(0, 0xfffff, 0xfb, 0xa));
  refused("a TSS", descriptor(0, 103, 0xe9, 0));
  refused("a busy TSS", descriptor(0, 103, 0xeb, 0));
  refused("an LDT", descriptor(0, 103, 0xe2, 0));
  refused("a task gate", call_gate(0x28, 0, 0xe5));
  refused("an interrupt gate", call_gate(KERNEL_CS, 0, 0xee));
  refused("a trap gate", call_gate(KERNEL_CS, 0, 0xef));
  refused("a 16-bit call gate", call_gate(KERNEL_CS, 0, 0xe4));
  refused("a call gate into Xen's code", call_gate(0xe008, 0, 0xec));
  refused("a call gate with reserved bits", call_gate(KERNEL_CS, 0, 0xec) | 0x20ull << 32);
  check_answer("a call gate", put(call_gate(KERNEL_CS, 0x100000, 0xec)), 0);
  check_answer("a call gate by way of the GDT", put(call_gate(0x29, 0x100000, 0xec)), 0);
  check_answer("a call gate by way of the LDT", put(call_gate(0xf00f, 0x100000, 0xec)), 0);
  check_answer("an address between two", update_descriptor(machine(table) + 4, data), -XEN_EINVAL);
  check_answer("a frame that is none", update_descriptor((u64)NO_MFN << 12, data), -XEN_EINVAL);
  check_answer("an address past 4 GiB", update_descriptor(1ull << 32, data), -XEN_EINVAL);
  check_answer("a page table", update_descriptor(machine(l1_entry((u32)table)), data), -XEN_EINVAL);
}
