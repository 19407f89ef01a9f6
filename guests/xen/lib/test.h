/*
 * The framework of the microkernels for Xen's paravirtual ABI: each one is a kernel that checks one call or rule.
 *
 * A test supplies test_main, calls setup() or the parts of it that its rule needs, and checks. The last line printed is
 * the verdict: SUCCESS, SKIP (the rule does not apply), ERROR (the test could not run) or FAILURE (the rule is broken).
 * A test whose rule is a way to die expects not to come back; what then counts is the reason the Host gives.
 */
#ifndef TEST_H
#define TEST_H

#include "verdict.h"
#include "xen.h"

/* --- report.c --- */
void shut_down(u32 reason) __attribute__((noreturn));

/* --- start --- */
extern struct start_info *start_info;
extern u32 start_registers[9]; /* EAX EBX ECX EDX ESI EDI EBP ESP EFLAGS at the entry */

void shared_info_init(void); /* maps struct shared_info */
void traps_init(void);       /* trap table with all stubs, callbacks, a stack for traps, the user's pages */
void setup(void);            /* both; events stay masked */

/* --- pages.c: pseudo-physical and linear addresses are the same throughout; machine ones are not --- */
typedef u64 pte_t;

#define KERNEL_FLAGS (PTE_P | PTE_RW | PTE_A | PTE_D)
#define READ_ONLY_FLAGS (PTE_P | PTE_A)
#define USER_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
/* Free for a test's own mappings: nothing is here, and no L1 table covers it. */
#define FREE_LIN 0x40000000u
#define M2P ((volatile u32 *)HYPERVISOR_VIRT_START)
#define NO_MFN 0xfffffu /* no domain here has this frame */

u32 mfn_of(const volatile void *lin);
static inline u64 machine(const volatile void *lin) { return (u64)mfn_of(lin) << 12 | ((u32)lin & 0xfff); }
static inline pte_t entry_for(const volatile void *page, u32 flags) { return (pte_t)mfn_of(page) << 12 | flags; }
void *page_of(u32 mfn);                  /* linear address of a frame, by way of the M2P */
void *alloc_page(void);                  /* a zeroed page, never given back */
void *alloc_read_only(void);             /* one that is mapped read-only */
void set_access(void *page, u32 flags);  /* maps a page of the kernel's anew; ends the test when refused */
pte_t *l3_table(void);
pte_t *l2_table(u32 lin);
pte_t *l1_table(u32 lin);                /* makes one when there is none */
static inline pte_t *l2_entry(u32 lin) { return l2_table(lin) + (lin >> 21 & 511); }
static inline pte_t *l1_entry(u32 lin) { return l1_table(lin) + (lin >> 12 & 511); }
s32 map(u32 lin, pte_t entry);           /* update_va_mapping with a flush, where a table is made first if need be */
s32 update(u64 ptr, u64 value);          /* mmu_update of one */
static inline s32 set_entry(pte_t *slot, pte_t value) { return update(machine(slot), value); }
s32 extended(u32 command, u32 arg1, u32 arg2); /* mmuext_op of one */
pte_t *new_tables(void);                 /* another L3 with the same kernel: its own slot 3, nothing in slots 1 and 2; read-only, not pinned */

static inline u32 peek(u32 lin) { return *(volatile u32 *)lin; }
static inline void poke(u32 lin, u32 value) { *(volatile u32 *)lin = value; }

/* --- traps.c --- */
struct frame {
  u32 es, ds;
  u32 edi, esi, ebp, esp_unused, ebx, edx, ecx, eax;
  u32 vector, error;
  u32 eip;
  u16 cs;
  u8 saved_mask, unused;
  u32 eflags;
  u32 esp, ss;
};

struct failsafe_frame {
  u32 edi, esi, ebp, esp_unused, ebx, edx, ecx, eax;
  u32 ds, es, fs, gs;
  u32 eip;
  u16 cs;
  u8 saved_mask, unused;
  u32 eflags;
  u32 esp, ss;
};

#define NO_FAULT 0xffffffffu
#define EVENT_VECTOR 0x100u
#define SYSCALL_VECTOR 0x80u

/* What the last trap looked like from its handler. */
struct seen {
  u32 vector, error, cr2, eip, cs, eflags, esp, ss;
  u32 saved_mask;  /* of the frame */
  u32 mask;        /* upcall mask in the handler */
  u32 live_eflags; /* EFLAGS in the handler */
  u32 handler_cs, handler_ss;
  u32 frame;       /* address of EIP in the frame: tells which stack was used */
};

extern struct seen fault;
extern volatile u32 recover_eip;
extern void (*trap_hook)(struct frame *frame); /* runs instead of recovery when set */
extern volatile u32 failsafe_count;
extern struct failsafe_frame failsafe_seen;
extern u32 failsafe_live_ds, failsafe_mask;
extern void (*failsafe_hook)(struct failsafe_frame *frame); /* runs instead of recovery when set */
extern u8 trap_stack[], trap_stack_top[];
extern char trap_stubs[], syscall_stub[], event_stub[], failsafe_stub[], xen_iret[];

struct trap_info trap_entry(u32 vector, u32 flags); /* to the framework's stub */

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
void expect_read_only(const char *what, const volatile void *lin);

/* --- ring 3 --- */
#define USER_CODE __attribute__((section(".user.text"), noinline, used))
#define USER_DATA __attribute__((section(".user.data")))

/*
 * Calls a USER_CODE function at ring 3 and returns its result. A fault there ends it: the call returns NO_FAULT and
 * `fault` describes what happened.
 */
u32 user_call(u32 (*function)(u32 argument), u32 argument);
void user_leave(u32 value) __attribute__((noreturn)); /* returns from it, from a hook */
extern u32 user_eflags;      /* EFLAGS for user_call */
extern u32 user_cs, user_ss; /* and its selectors */
extern u8 user_start[], user_end[];

static inline u32 read_eflags(void) {
  u32 flags;
  __asm__ volatile("pushfl; popl %0" : "=r"(flags));
  return flags;
}

/* --- events.c --- */
extern struct shared_info *shared; /* after shared_info_init */
extern struct vcpu_info *vcpu;     /* where this vCPU's is */
extern volatile u32 upcalls;       /* entries of the event callback */
extern volatile u32 event_counts[EVTCHN_2L_PORTS];
extern void (*upcall_hook)(struct frame *frame); /* runs instead of the scan when set */

static inline void events_off(void) {
  vcpu->upcall_mask = 1;
  barrier();
}
void events_on(void); /* unmasks and takes what waited, as a kernel does it */
void scan_events(void);
void scan_events_of(struct vcpu_info *info);

struct bind_virq {
  u32 virq, vcpu, port;
};
struct bind_ipi {
  u32 vcpu, port;
};
struct bind_interdomain {
  u16 domid, unused;
  u32 remote_port, port;
};
struct alloc_unbound {
  u16 domid, remote;
  u32 port;
};
struct channel_status {
  u16 domid, unused;
  u32 port, status, vcpu;
  u16 remote_domid, unused2;
  u32 remote_port;
};

u32 bind_virq(u32 virq);       /* port; ends the test when refused; masked or not as it was */
u32 bind_ipi(void);
u32 status_of(u32 port);
static inline void unmask_bit(u32 port) { shared->evtchn_mask[port / 32] &= ~(1u << port % 32); }
static inline void mask_bit(u32 port) { shared->evtchn_mask[port / 32] |= 1u << port % 32; }
static inline int is_pending(u32 port) { return shared->evtchn_pending[port / 32] >> port % 32 & 1; }
u64 system_time(void);
void wait_for_port(u32 port); /* sleeps until it is pending, masked or not */

/* --- store.c --- */
struct store_header {
  u32 type, id, transaction, length;
};
extern struct store_header store_answer; /* to the last request, and what it says */
extern char store_text[1024];
extern u32 store_events;     /* watch events so far */
extern char store_event[64]; /* path and token of the last */

void store_init(void);
void store_ask(u32 type, const char *payload, u32 length);
#define STORE_ASK(type, payload) store_ask(type, payload, sizeof(payload))
void store_await_event(void); /* sleeps until a watch fires */

/* --- vcpus.c: a second vCPU; it and the first take turns --- */
extern struct vcpu_guest_context second; /* what it begins with */
extern u8 second_event_stub[];
extern volatile u32 second_upcalls;
#define second_info (&shared->vcpu_info[1])

void second_prepare(void (*main)(void)); /* fills `second`: to main with the kernel's page tables and traps, events masked */
void second_start(void (*main)(void));   /* the same, and brings it up; ends the test when refused */
void wait_until(volatile u32 *word, u32 value); /* gives turns away until a word has a value */
void wait_until_down(void);              /* until the second vCPU took itself down, as it does when main returns */
static inline void second_events_on(void) {
  second_info->upcall_mask = 0;
  barrier();
  if (second_info->upcall_pending)
    xen_version(XENVER_VERSION, NULL);
}
u32 bind_ipi_of(u32 id);
static inline s32 send_event(u32 port) { return event_channel_op(EVTCHNOP_SEND, &port); }

#endif
