/* decrease_reservation, populate_physmap and increase_reservation: pages go and come, counted one by one; fresh ones are zero. */
#include "test.h"

static u32 current(void) {
  u16 self[2] = {DOMID_SELF};
  return memory_op(XENMEM_CURRENT_RESERVATION, self);
}

static s32 reserve(u32 command, u32 *extents, u32 count, u32 order, u16 domid) {
  struct memory_reservation op = {extents, count, order, 0, domid, 0};
  return memory_op(command, &op);
}

void test_main(void) {
  setup();
  u8 *pages[3];
  u32 mfns[4], pfns[4], before = current();
  for (u32 i = 0; i < 3; i++) {
    pages[i] = alloc_page();
    memset(pages[i], 0xaa, PAGE_SIZE);
    mfns[i] = mfn_of(pages[i]);
    pfns[i] = (u32)pages[i] >> 12;
    update_va_mapping((u32)pages[i], 0, UVMF_INVLPG);
  }
  check_answer("giving three pages back", reserve(XENMEM_DECREASE_RESERVATION, mfns, 3, 0, DOMID_SELF), 3);
  check_equal("the reservation", current(), before - 3);
  check_equal("what the table says of one", M2P[mfns[0]], INVALID_M2P_ENTRY);
  check(map(FREE_LIN, (pte_t)mfns[0] << 12 | KERNEL_FLAGS) < 0, "a page that was given back can be mapped");
  check_answer("giving one back again", reserve(XENMEM_DECREASE_RESERVATION, mfns, 1, 0, DOMID_SELF), 0);
  u32 got[3] = {pfns[0], pfns[1], pfns[2]};
  check_answer("three for these numbers", reserve(XENMEM_POPULATE_PHYSMAP, got, 3, 0, DOMID_SELF), 3);
  check_equal("the reservation", current(), before);
  for (u32 i = 0; i < 3; i++) {
    check_equal("what the table says", M2P[got[i]], pfns[i]);
    check_answer("mapping it", update_va_mapping((u32)pages[i], (pte_t)got[i] << 12 | KERNEL_FLAGS, UVMF_INVLPG), 0);
    check(*(u32 *)pages[i] == 0 && *(u32 *)(pages[i] + 4092) == 0, "a fresh page has %x", *(u32 *)pages[i]);
  }
  update_va_mapping((u32)pages[2], 0, UVMF_INVLPG);
  mfns[0] = got[2];
  mfns[1] = NO_MFN;
  mfns[2] = got[1];
  check_answer("three of which the second is none", reserve(XENMEM_DECREASE_RESERVATION, mfns, 3, 0, DOMID_SELF), 1);
  check_equal("the reservation", current(), before - 1);
  u32 fresh = 0;
  check_answer("one without a number", reserve(XENMEM_INCREASE_RESERVATION, &fresh, 1, 0, DOMID_SELF), 1);
  check_answer("mapping it", update_va_mapping((u32)pages[2], (pte_t)fresh << 12 | KERNEL_FLAGS, UVMF_INVLPG), 0);
  check_equal("the reservation", current(), before);
  /* A page that is mapped goes when its mapping does; nobody can map it anew. */
  *(u32 *)pages[0] = 99;
  check_answer("one that is mapped", reserve(XENMEM_DECREASE_RESERVATION, got, 1, 0, DOMID_SELF), 1);
  check_equal("the reservation", current(), before - 1);
  check_equal("its contents", *(u32 *)pages[0], 99);
  check(map(FREE_LIN, (pte_t)got[0] << 12 | KERNEL_FLAGS) < 0, "it can be mapped anew");
}
