/*
 * What the measured programs share: the guest's tables and windows, ring 3 and the ways out of it, and the command line that says what to
 * run and how often: plan=NAME:ITERATIONS[*REPEATS],... and, if the whole plan is run several times, rounds=N. Each run prints a line "["
 * before its loop, a line "]" after it, and a line with the number of faults and traps that its handlers saw; the last line is "done".
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "platform.h"
#include "text.h"

#define USER_WINDOW 0x40000000u   /* test pages of ring 3: one table in each directory */
#define KERNEL_WINDOW 0xc1000000u /* test pages of the kernel: one table in all directories */
#define PAGES 1024

#define KERNEL_ENTRY (PTE_P | PTE_RW | PTE_A | PTE_D)
#define USER_ENTRY (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define SHARED_ENTRY (PTE_P | PTE_US | PTE_A)

#define USER_CODE __attribute__((section(".user.text"), noinline, used))
#define USER_DATA __attribute__((section(".user.data")))
#define HANDLER __attribute__((regparm(1)))

typedef void HANDLER (*fault_handler_t)(u32 lin);

/* A loop that does one thing; `times` is how often. The last one of a program has no name. */
struct scenario {
  const char *name;
  void (*run)(u32 times);
};
extern const struct scenario scenarios[];

#define USER_STACK_WORDS (PAGE_SIZE / 4)
extern pte_t user_tables[DIRECTORIES][TABLE_ENTRIES], kernel_table[TABLE_ENTRIES];
extern u8 frames[PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
extern u32 user_stack[USER_STACK_WORDS];

extern u32 traps;
extern fault_handler_t page_fault_handler;
extern void (*system_call_handler)(void);

void lean_call_stub(void), full_call_stub(void);
void enter_user(u32 eip, u32 esp);
void user_leave(void);

static inline u32 frame(u32 index) { return (u32)frames[index]; }
static inline u32 frame_entry(u32 index, u32 flags) { return machine_of(frame(index)) | flags; }
static inline u32 directory(u32 index) { return (u32)directories[index]; }
static inline u32 user_page(u32 index) { return USER_WINDOW + index * PAGE_SIZE; }
static inline u32 kernel_page(u32 index) { return KERNEL_WINDOW + index * PAGE_SIZE; }

/* The page of a window that an address lies in has a frame of its own; the sums of constants are the compiler's. */
static inline u32 user_frame(u32 page) { return page + ((u32)frames - USER_WINDOW); }
static inline u32 kernel_frame(u32 page) { return page + ((u32)frames - KERNEL_WINDOW); }
static inline u32 user_entry(u32 page) { return machine_of(user_frame(page)) + USER_ENTRY; }
static inline pte_t *entry_in(pte_t *table, u32 window, u32 page) {
  return (pte_t *)((u32)table - (window >> 12) * sizeof *table) + (page >> 12);
}

/* The first directory's entry of a page. */
static inline void set_user_pte(u32 page, u32 pte) {
  set_pte(entry_in(user_tables[0], USER_WINDOW, page), (u32)directories[0], page, pte);
}
static inline void set_kernel_pte(u32 page, u32 pte) {
  set_pte(entry_in(kernel_table, KERNEL_WINDOW, page), (u32)directories[0], page, pte);
}

void at_ring3(void (*function)(u32 times), u32 times);

static inline __attribute__((always_inline)) void user_system_call(void) {
  __asm__ volatile("int %0" : : "i"(VECTOR_LEAN_CALL) : "memory");
}

/* --- two that both programs have --- */

/* 1,024 pages are faulted in, one iteration each; then the table is emptied and the directory loaded again. */
void fill(u32 times);
/* The shortest system call there is. */
void syscall(u32 times);

#endif
