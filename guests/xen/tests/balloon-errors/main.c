/* Changes of the reservation answer how many were done, 0 for whatever is wrong with the request as a whole. */
#include "test.h"

static s32 reserve(u32 command, u32 *extents, u32 count, u32 order, u16 domid) {
  struct memory_reservation op = {extents, count, order, 0, domid, 0};
  return memory_op(command, &op);
}

void test_main(void) {
  setup();
  u32 extents[2] = {0x7000, 0x7001};
  static const u32 commands[] = {XENMEM_DECREASE_RESERVATION, XENMEM_POPULATE_PHYSMAP};
  for (u32 i = 0; i < COUNT_OF(commands); i++) {
    check_answer("an unmapped request", memory_op(commands[i], (void *)FREE_LIN), 0);
    check_answer("an unmapped list", reserve(commands[i], (u32 *)FREE_LIN, 1, 0, DOMID_SELF), 0);
    check_answer("for a domain that is none", reserve(commands[i], extents, 1, 0, 0x7123), 0);
    check_answer("for domain 0", reserve(commands[i], extents, 1, 0, 0), 0);
    check_answer("an order that is too large", reserve(commands[i], extents, 1, 30, DOMID_SELF), 0);
    check_answer("nothing", reserve(commands[i], extents, 0, 0, DOMID_SELF), 0);
  }
  check_answer("more than there may be", reserve(XENMEM_POPULATE_PHYSMAP, extents, 2, 9, DOMID_SELF), 0);
  check_answer("adding to a map that there is not", memory_op(XENMEM_ADD_TO_PHYSMAP, (void *)FREE_LIN), -XEN_EFAULT);
  check_answer("the machine's map", memory_op(XENMEM_MACHINE_MEMORY_MAP, extents), -XEN_EPERM);
}
