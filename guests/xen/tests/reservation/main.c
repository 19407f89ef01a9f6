/* What memory_op tells: pages that the domain has and may have, its highest ones, its memory map, where the machine-to-physical table is. */
#include "test.h"

void test_main(void) {
  setup();
  u16 self[2] = {DOMID_SELF}, other[2] = {0x7123}, host[2] = {0};
  check_answer("current_reservation", memory_op(XENMEM_CURRENT_RESERVATION, self), start_info->nr_pages);
  check(memory_op(XENMEM_MAXIMUM_RESERVATION, self) >= (s32)start_info->nr_pages, "maximum_reservation is %d",
        memory_op(XENMEM_MAXIMUM_RESERVATION, self));
  s32 last = memory_op(XENMEM_MAXIMUM_RAM_PAGE, NULL);
  for (u32 pfn = 0; pfn < start_info->nr_pages; pfn++)
    if ((s32)((u32 *)start_info->mfn_list)[pfn] > last) {
      check(0, "frame %x is past the last, %x", ((u32 *)start_info->mfn_list)[pfn], last);
      break;
    }
  static const u32 commands[] = {XENMEM_CURRENT_RESERVATION, XENMEM_MAXIMUM_RESERVATION, XENMEM_MAXIMUM_GPFN};
  for (u32 i = 0; i < COUNT_OF(commands); i++) {
    check_answer("of a domain that is none", memory_op(commands[i], other), -XEN_ESRCH);
    check_answer("of domain 0", memory_op(commands[i], host), -XEN_EPERM);
    check_answer("an unmapped argument", memory_op(commands[i], (void *)FREE_LIN), -XEN_EFAULT);
  }
  static u32 frames[64];
  struct {
    u32 max, *list, count;
  } op = {COUNT_OF(frames), frames, 0};
  check_answer("machphys_mfn_list", memory_op(XENMEM_MACHPHYS_MFN_LIST, &op), 0);
  check(op.count > 0 && op.count <= 64 && frames[0], "it has %u frames", op.count);
  op.max = 0;
  check_answer("with no room", memory_op(XENMEM_MACHPHYS_MFN_LIST, &op), 0);
  check_equal("it has", op.count, 0);
  check_answer("a command that is none", memory_op(60, NULL), -XEN_ENOSYS);
}
