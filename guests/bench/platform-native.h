/* A plain machine: the processor's own tables, at ring 0. */
#ifndef PLATFORM_NATIVE_H
#define PLATFORM_NATIVE_H

#define KERNEL_CODE_SELECTOR 0x08
#define KERNEL_STACK_SELECTOR 0x10
#define USER_CODE_SELECTOR 0x1b
#define USER_DATA_SELECTOR 0x23
#define USER_EFLAGS EFLAGS_FIXED

#ifdef __ASSEMBLER__
#define READ_FAULT_ADDRESS movl %cr2, %eax
#else
#include "two-levels.h"

static inline void set_pte(pte_t *entry, u32 directory, u32 lin, pte_t pte) {
  (void)directory;
  *entry = pte;
  __asm__ volatile("invlpg (%0)" : : "r"(lin) : "memory");
}
static inline void queue_pte(pte_t *entry, u32 directory, u32 lin, pte_t pte) {
  set_pte(entry, directory, lin, pte);
}
/* The table is not in use: loading CR3 for it will forget the old entries. */
static inline void forget_table(u32 directory, u32 lin) { (void)directory, (void)lin; }
static inline void switch_directory(u32 directory) {
  __asm__ volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
}
static inline void forget_user(void) {
  u32 directory;
  __asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=r"(directory) : : "memory");
}
#endif
#endif
