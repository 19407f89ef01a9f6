/*
 * What the scenarios need of the platform they run on. Each platform has a header with the operations of the hot path, which are
 * inlined, and a C file with its way up. PLATFORM_LGUEST, PLATFORM_NATIVE and PLATFORM_XEN choose.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include "abi.gen.h"
#ifndef __ASSEMBLER__
#include "types.h"
#endif

#if defined(PLATFORM_LGUEST)
#include "platform-lguest.h"
#elif defined(PLATFORM_NATIVE)
#include "platform-native.h"
#elif defined(PLATFORM_XEN)
#include "platform-xen.h"
#endif

#define VECTOR_LEAN_CALL 0x80 /* the system call of the ABI */
#define VECTOR_LEAVE 0x81     /* ring 3 is done: back to the kernel that entered it */
#define VECTOR_BACK 0x83      /* ring 3 was reached by the iret under test */

#ifndef __ASSEMBLER__
#define DIRECTORIES 9      /* more than a Host keeps cached */
#define TABLE_ENTRIES 1024 /* of what is called a table here: it covers 4 MiB, in as many pages as its entries take */
#define TABLE_BYTES (TABLE_ENTRIES * PAGE_SIZE)
#define PAGE_TABLE __attribute__((aligned(4096), section(".bss.tables")))

/*
 * Each header above defines pte_t, an entry of a page table, and, as static inline functions:
 *   machine_of(lin)                          what an entry holds to map the guest's page of that address
 *   set_pte(entry, directory, lin, pte)      makes the entry of `lin` in `directory`, the current one, `pte`, for the processor too
 *   queue_pte(entry, directory, lin, pte)    the same, but the platform may hear of it later, in order
 *   finish_queue()                           whatever is queued is done by the next set_pte; most platforms do that by themselves
 *   take_table(directory, lin, table, n)     the first n entries of the table that covers `lin` are going to be written as memory
 *   give_table(directory, lin, table, n)     they were
 *   forget_table(directory, lin)             all entries of the table that covers `lin` have changed
 *   switch_directory(directory)              makes it the current one
 *   forget_user()                            user entries of the current directory have changed
 */
extern pte_t directories[DIRECTORIES][PAGE_SIZE / sizeof(pte_t)];

const char *platform_start(const void *info);             /* before anything else; returns the command line */
void link_table(u32 directory, u32 lin, pte_t *table);    /* puts a table into a directory that is not yet in use */
void platform_tables_on(u32 directory, pte_t *ram);       /* paging on; `ram` are the entries of all the guest's memory */
void platform_gate(u32 vector, void (*handler)(void), u32 dpl);
void platform_end(void);                                  /* nothing is left to do */
void put_text(const char *text);
void bench_main(const void *info);
void unexpected(void);                                    /* ends in shame */
#endif
#endif
