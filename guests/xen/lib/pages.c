/* Pages and page tables. A page's linear address is its pseudo-physical one; its machine frame is in the list of the builder's. */
#include "test.h"

#define POOL_PAGES 256

static u8 pool[POOL_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static u32 pool_used;

u32 mfn_of(const volatile void *lin) { return ((u32 *)start_info->mfn_list)[(u32)lin >> 12]; }

void *page_of(u32 mfn) { return (void *)(M2P[mfn] << 12); }

void *alloc_page(void) {
  if (pool_used == POOL_PAGES)
    error("the pool of %u pages is used up", POOL_PAGES);
  return pool[pool_used++];
}

void set_access(void *page, u32 flags) {
  s32 answer = update_va_mapping((u32)page, entry_for(page, flags), UVMF_INVLPG);
  if (answer)
    error("mapping %p with flags %x is refused with %d", page, flags, answer);
}

void *alloc_read_only(void) {
  void *page = alloc_page();
  set_access(page, READ_ONLY_FLAGS);
  return page;
}

pte_t *l3_table(void) {
  u32 cr3;
  __asm__ volatile("movl %%cr3, %0" : "=r"(cr3));
  return page_of(cr3 >> 12 | cr3 << 20);
}

static pte_t *table_of(pte_t entry) { return page_of((u32)(entry >> 12)); }

pte_t *l2_table(u32 lin) { return table_of(l3_table()[lin >> 30]); }

pte_t *l1_table(u32 lin) {
  pte_t *slot = l2_entry(lin);
  if (!(*slot & PTE_P)) {
    s32 answer = set_entry(slot, entry_for(alloc_read_only(), TABLE_FLAGS));
    if (answer)
      error("an L1 table for %p is refused with %d", (void *)lin, answer);
  }
  return table_of(*slot);
}

s32 map(u32 lin, pte_t entry) {
  l1_table(lin);
  return update_va_mapping(lin, entry, UVMF_INVLPG);
}

s32 update(u64 ptr, u64 value) {
  struct mmu_update request = {ptr, value};
  return mmu_update(&request, 1, NULL, DOMID_SELF);
}

s32 extended(u32 command, u32 arg1, u32 arg2) {
  struct mmuext_op op = {command, arg1, arg2};
  return mmuext_op(&op, 1, NULL, DOMID_SELF);
}

pte_t *new_tables(void) {
  pte_t *old = l3_table();
  pte_t *fresh = alloc_page();
  fresh[0] = old[0];
  for (u32 slot = 1; slot < 4; slot++)
    fresh[slot] = entry_for(alloc_read_only(), PTE_P);
  set_access(fresh, READ_ONLY_FLAGS);
  return fresh;
}
