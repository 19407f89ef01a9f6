/*
 * What the scenarios need of the platform they run on. Each platform has a header with the operations of the hot path, which are
 * inlined, and a C file with its way up. PLATFORM_LGUEST and PLATFORM_NATIVE choose; a further one (Xen PV) needs these names only.
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
#endif

#define VECTOR_LEAN_CALL 0x80 /* the system call of the ABI */
#define VECTOR_LEAVE 0x81     /* ring 3 is done: back to the kernel that entered it */
#define VECTOR_BACK 0x82      /* ring 3 was reached by the iret under test */

#ifndef __ASSEMBLER__
/*
 * Each header above defines, as static inline functions:
 *   tell_pte(directory, lin, pte)    the entry of `lin` in `directory` was just written to be `pte`
 *   queue_pte(directory, lin, pte)   the same, but the platform may hear of it later, in order, before the next tell_pte is done
 *   forget_table(directory, lin)     all entries of the table that covers `lin` were just written
 *   switch_directory(directory)      makes it the current one
 *   forget_user()                    user entries of the current directory were just written
 */
const char *platform_start(const void *info);    /* before anything else; returns the command line */
void platform_tables_on(u32 directory);          /* paging on, with this directory */
void platform_gate(u32 vector, void (*handler)(void), u32 dpl);
void platform_end(void);                         /* nothing is left to do */
void put_text(const char *text);
void bench_main(const void *info);
#endif
#endif
