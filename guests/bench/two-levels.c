/* The directory of page tables of two levels. */
#include "platform.h"

void link_table(u32 directory, u32 lin, pte_t *table) {
  ((pte_t *)directory)[lin / TABLE_BYTES] = (u32)table | PTE_P | PTE_RW | PTE_US | PTE_A;
}
