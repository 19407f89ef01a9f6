/* Page tables of either kind. Linear and guest-physical addresses are the same throughout, so tables are at hand. */
#include "test.h"

#define POOL_PAGES 160
#define SHARED_BYTES 0x4000000u

static u8 pool[POOL_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static u32 pool_used;
u32 first_directory;

extern u8 user_start[], user_end[];

u32 alloc_page(void) {
  if (pool_used == POOL_PAGES)
    error("the pool of %u pages is used up", POOL_PAGES);
  return (u32)pool[pool_used++];
}

#ifdef PAE
u32 top_index(u32 lin) { return lin >> 30; }

u32 *top_slot(u32 directory, u32 lin) { return (u32 *)(directory + 8 * top_index(lin)); }

static pte_t *middle_slot(u32 directory, u32 lin) {
  u64 *top = (u64 *)directory + (lin >> 30);
  if (!(*top & PTE_P))
    *top = alloc_page() | PTE_P;
  return (u64 *)((u32)*top & PAGE_MASK) + (lin >> 21 & 511);
}

#define TABLE_BYTES 0x200000u
#define TABLE_MASK 511
#else
u32 top_index(u32 lin) { return lin >> 22; }

u32 *top_slot(u32 directory, u32 lin) { return (u32 *)directory + top_index(lin); }

static pte_t *middle_slot(u32 directory, u32 lin) { return top_slot(directory, lin); }

#define TABLE_BYTES 0x400000u
#define TABLE_MASK 1023
#endif

/* Directory entries allow everything; the page entries decide. */
pte_t *pte_of(u32 directory, u32 lin) {
  pte_t *middle = middle_slot(directory, lin);
  if (!(*middle & PTE_P))
    *middle = alloc_page() | PTE_P | PTE_RW | PTE_US | PTE_A;
  return (pte_t *)((u32)*middle & PAGE_MASK) + (lin >> 12 & TABLE_MASK);
}

void map(u32 directory, u32 lin, u32 gpa, u32 flags) { *pte_of(directory, lin) = gpa | flags; }

u32 new_directory(void) {
  u32 directory = alloc_page();
  for (u32 lin = 0; lin < SHARED_BYTES; lin += TABLE_BYTES) {
    pte_t *from = middle_slot(first_directory, lin);
    if (*from & PTE_P)
      *middle_slot(directory, lin) = *from;
  }
  return directory;
}

void paging_init(void) {
  u32 end = ram_bytes();
  if (end > SHARED_BYTES - 64 * PAGE_SIZE)
    error("this test wants less than 64 MiB of RAM");
  first_directory = alloc_page();
#ifndef LGUEST_PCI
  end += 64 * PAGE_SIZE; /* the device pages */
#endif
  for (u32 lin = 0; lin < end; lin += PAGE_SIZE) {
    int user = lin >= (u32)user_start && lin < (u32)user_end;
    map(first_directory, lin, lin, user ? USER_FLAGS : KERNEL_FLAGS);
  }
  new_pgtable(first_directory);
}
