/*
 * The framework of the microkernels: each one is a kernel for the lguest ABI that checks one rule.
 *
 * A test supplies test_main, calls setup() or the parts of it that its rule needs, and checks. The last line printed is
 * the verdict: SUCCESS, SKIP (the rule does not apply), ERROR (the test could not run) or FAILURE (the rule is broken).
 * A test whose rule is a way to die expects not to come back; what then counts is the reason the Host gives.
 */
#ifndef TEST_H
#define TEST_H

#include "lguest.h"
#include "verdict.h"

/* --- setup.c: the way up, in steps --- */
void lg_init(void);     /* LGUEST_INIT */
void paging_init(void); /* identity tables, NEW_PGTABLE: leaves linear mode */
void traps_init(void);  /* user segments, gates 0-0x3f and 0x80, SET_STACK */
void setup(void);       /* all three */
u32 ram_bytes(void);

static inline void interrupts_on(void) {
  lguest_data.irq_enabled = EFLAGS_IF;
  barrier();
  if (lguest_data.irq_pending)
    hcall0(LHCALL_SEND_INTERRUPTS);
}

static inline void interrupts_off(void) {
  lguest_data.irq_enabled = 0;
  barrier();
}

/* Queues a call in the asynchronous ring at the framework's cursor. */
void ring_add(u32 nr, u32 arg1, u32 arg2, u32 arg3, u32 arg4);
extern u32 ring_cursor;

/* --- paging.c: tables of either kind, written with plain stores --- */
#ifdef PAE
typedef u64 pte_t;
#define PAE_GUEST 1
#else
typedef u32 pte_t;
#define PAE_GUEST 0
#endif

#define KERNEL_FLAGS (PTE_P | PTE_RW)
#define USER_FLAGS (PTE_P | PTE_RW | PTE_US)
#define KERNEL_HALF 0xc0000000u

extern u32 first_directory;
u32 alloc_page(void);                   /* a zeroed page, never given back */
u32 new_directory(void);                /* maps what the first one does below 64 MiB, and nothing else */
pte_t *pte_of(u32 directory, u32 lin);  /* makes the tables in between when they are missing */
void map(u32 directory, u32 lin, u32 gpa, u32 flags); /* a plain store, nobody is told */
u32 top_index(u32 lin);                 /* the slot of the top-level table that covers `lin` */
u32 *top_slot(u32 directory, u32 lin);

static inline void new_pgtable(u32 directory) { hcall1(LHCALL_NEW_PGTABLE, directory); }
static inline void set_pte(u32 directory, u32 lin, pte_t entry) {
  hcall(LHCALL_SET_PTE, directory, lin, (u32)entry, (u32)((u64)entry >> 32));
}
static inline void flush_tlb(u32 kind) { hcall1(LHCALL_FLUSH_TLB, kind); }
static inline u32 peek(u32 lin) { return *(volatile u32 *)lin; }
static inline void poke(u32 lin, u32 value) { *(volatile u32 *)lin = value; }

/* --- traps.c --- */
struct frame {
  u32 es, ds;
  u32 edi, esi, ebp, esp_unused, ebx, edx, ecx, eax;
  u32 vector, error;
  u32 eip, cs, eflags;
  u32 esp, ss;
};

#define NO_FAULT 0xffffffffu

/* What the last trap looked like from its handler. */
struct seen {
  u32 vector, error, cr2, eip, cs, eflags, esp, ss;
  u32 irq_enabled;   /* lguest_data's flag on entry */
  u32 live_eflags;   /* EFLAGS in the handler */
  u32 handler_cs, handler_ss;
  u32 frame;         /* address of the frame: tells which stack was used */
};

extern struct seen fault;
extern volatile u32 recover_eip;
extern volatile u32 irq_counts[32];
extern volatile u32 irq_order[64], irq_total;
extern u32 irq_eip[32];                        /* where the last one of each interrupted */
extern void (*trap_hook)(struct frame *frame); /* runs instead of recovery when set */
extern void (*nmi_hook)(struct frame *frame);  /* runs at every NMI, which is recorded nowhere */
extern u8 trap_stack[], trap_stack_top[];
extern char trap_stubs[], syscall_stub[], trap_iret[], noirq_start[], noirq_iret[], noirq_end[];

/*
 * Runs one instruction that may fault; `fault` then says how. Operands follow as in an asm statement:
 * TRY("movl (%0), %%eax", : : "r"(address) : "eax").
 */
#define TRY(instruction, ...)                                                     \
  do {                                                                            \
    fault.vector = NO_FAULT;                                                      \
    barrier();                                                                    \
    __asm__ volatile("movl $99f, recover_eip\n\t" instruction                     \
                     "\n99:\tmovl $0, recover_eip" __VA_ARGS__);                  \
    barrier();                                                                    \
  } while (0)

void expect_fault(const char *what, u32 vector, u32 error);
void expect_no_fault(const char *what);
void expect_page_fault(const char *what, u32 address, u32 error);

/* --- ring 3 --- */
#define USER_CODE __attribute__((section(".user.text"), noinline, used))
#define USER_DATA __attribute__((section(".user.data")))

/*
 * Calls a USER_CODE function at ring 3 and returns its result. A fault there ends it: the call returns NO_FAULT and
 * `fault` describes what happened.
 */
u32 user_call(u32 (*function)(u32 argument), u32 argument);
extern u32 user_eflags; /* EFLAGS for user_call */

static inline u32 read_eflags(void) {
  u32 flags;
  __asm__ volatile("pushfl; popl %0" : "=r"(flags));
  return flags;
}

#endif
