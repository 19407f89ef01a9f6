/* The lguest ABI: every change of a page table is followed by a call, which may wait in the asynchronous ring. */
#ifndef PLATFORM_LGUEST_H
#define PLATFORM_LGUEST_H

#define KERNEL_STACK_SELECTOR LGUEST_KERNEL_DS
#define USER_CODE_SELECTOR 0x73
#define USER_DATA_SELECTOR 0x7b
#define USER_EFLAGS EFLAGS_FIXED

#ifdef __ASSEMBLER__
#define READ_FAULT_ADDRESS movl lguest_data + LG_DATA_CR2, %eax
#else
#include "lguest.h"
#include "two-levels.h"

/* Nothing but three arguments and the number just before the call: a handler has few registers that it need not save. */
static inline void tell_pte(u32 directory, u32 lin, u32 pte) {
  __asm__ volatile("movl %0, %%eax\n\tint %1"
                   : : "i"(LHCALL_SET_PTE), "i"(LGUEST_TRAP_ENTRY), "b"(directory), "c"(lin), "d"(pte)
                   : "eax", "memory");
}
static inline void set_pte(pte_t *entry, u32 directory, u32 lin, pte_t pte) {
  *entry = pte;
  tell_pte(directory, lin, pte);
}
static inline void forget_table(u32 directory, u32 lin) { hcall2(LHCALL_SET_PGD, directory, lin >> 22); }
static inline void switch_directory(u32 directory) { hcall1(LHCALL_NEW_PGTABLE, directory); }
static inline void forget_user(void) { hcall1(LHCALL_FLUSH_TLB, 0); }

extern u32 ring_cursor;

static inline void queue_pte(pte_t *entry, u32 directory, u32 lin, pte_t pte) {
  *entry = pte;
  u32 slot = ring_cursor;
  volatile struct hcall_args *call = &lguest_data.hcalls[slot];
  call->nr = LHCALL_SET_PTE;
  call->arg1 = directory;
  call->arg2 = lin;
  call->arg3 = pte;
  barrier();
  lguest_data.hcall_status[slot] = 0;
  ring_cursor = (slot + 1) % LG_RING_SLOTS;
}
#endif
#endif
