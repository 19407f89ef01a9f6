/* Thousands of entries, and lists within them, do not stall the Host: the call is made again for what is left, and the guest sees no seam. */
#include "test.h"

#define CALLS 3000
#define UPDATES 4000

static struct multicall_entry list[CALLS];
static struct mmu_update updates[UPDATES];

void test_main(void) {
  setup();
  u8 *pages[2] = {alloc_page(), alloc_page()};
  l1_table(FREE_LIN);
  for (u32 i = 0; i < CALLS; i++) {
    pte_t entry = entry_for(pages[i & 1], KERNEL_FLAGS);
    list[i] = (struct multicall_entry){.op = HYPERVISOR_UPDATE_VA_MAPPING, .result = -1,
                                       .args = {FREE_LIN + (i % 512) * PAGE_SIZE, (u32)entry, (u32)(entry >> 32), UVMF_INVLPG}};
  }
  for (u32 i = 0; i < UPDATES; i++)
    updates[i] = (struct mmu_update){machine(l1_entry(FREE_LIN) + i % 512), entry_for(pages[~i & 1], PTE_P)};
  u32 done = 99;
  list[CALLS / 2] = (struct multicall_entry){.op = HYPERVISOR_MMU_UPDATE, .result = -1,
                                             .args = {(u32)updates, UPDATES, (u32)&done, DOMID_SELF}};
  check_answer("the list", multicall(list, CALLS), 0);
  u32 bad = 0;
  for (u32 i = 0; i < CALLS; i++)
    bad += list[i].result != 0;
  check_equal("results that are not 0", bad, 0);
  check_equal("how many of the list within", done, UPDATES);
  check_equal("the entry made last", (u32)*l1_entry(FREE_LIN + (CALLS - 1) % 512 * PAGE_SIZE),
              (u32)entry_for(pages[(CALLS - 1) & 1], KERNEL_FLAGS));
  done = 99;
  updates[UPDATES - 2].val |= PTE_PCD;
  check_answer("a long list that ends badly", mmu_update(updates, UPDATES, &done, DOMID_SELF), -XEN_EINVAL);
  check_equal("how many", done, UPDATES - 2);
}
