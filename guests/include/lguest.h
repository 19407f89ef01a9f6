/*
 * The lguest ABI from the guest's side: the page it shares with the Host, and how it calls.
 *
 * Numbers come from abi/ by way of abi.gen.h; this file adds what only C can say.
 * LGUEST_PCI selects the later variety (virtio over PCI), whose shared page ends differently.
 */
#ifndef LGUEST_H
#define LGUEST_H

#include "abi.gen.h"
#include "types.h"

/* The Host keeps guest kernels at ring 1, so their selectors carry RPL 1; processes run at ring 3. */
#define KERNEL_CS LGUEST_KERNEL_CS
#define KERNEL_DS LGUEST_KERNEL_DS
#define USER_CS 0x73
#define USER_DS 0x7b
#define TLS_SELECTOR 0x33

#define SYSCALL_VECTOR 0x80

struct hcall_args {
  u32 nr, arg1, arg2, arg3, arg4;
};

/* The page that guest and Host share. Volatile throughout: each side writes behind the other's back. */
struct lguest_data {
  volatile u32 irq_enabled;        /* EFLAGS_IF or 0: this is the guest's interrupt flag */
  volatile u32 blocked_interrupts; /* bit n masks IRQ n */
  volatile u32 cr2;                /* written by the Host before it reflects a page fault */
  volatile u32 time_sec, time_nsec;
  volatile u32 irq_pending;        /* EFLAGS_IF while an interrupt waits for irq_enabled */
  volatile u8 hcall_status[LG_RING_SLOTS];
  volatile struct hcall_args hcalls[LG_RING_SLOTS];
  volatile u32 reserve_mem;
  volatile u32 tsc_khz;
#ifdef LGUEST_PCI
  u32 noirq_iret;
#else
  u32 noirq_start, noirq_end;
#endif
  u32 kernel_address;
  u32 syscall_vec;
};

_Static_assert(__builtin_offsetof(struct lguest_data, hcalls) == LG_DATA_HCALLS, "ring");
#ifdef LGUEST_PCI
_Static_assert(sizeof(struct lguest_data) == LG_DATA_PCI_BYTES, "struct lguest_data");
#else
_Static_assert(sizeof(struct lguest_data) == LG_DATA_OLD_BYTES, "struct lguest_data");
#endif

extern struct lguest_data lguest_data;

/* Calls the Host. Only the number and the arguments are looked at, and nothing comes back but memory. */
static inline u32 hcall(u32 nr, u32 arg1, u32 arg2, u32 arg3, u32 arg4) {
  u32 result = nr;
  __asm__ volatile("int %1"
                   : "+a"(result)
                   : "i"(LGUEST_TRAP_ENTRY), "b"(arg1), "c"(arg2), "d"(arg3), "S"(arg4)
                   : "memory");
  return result;
}

#define hcall0(nr) hcall(nr, 0, 0, 0, 0)
#define hcall1(nr, a) hcall(nr, (u32)(a), 0, 0, 0)
#define hcall2(nr, a, b) hcall(nr, (u32)(a), (u32)(b), 0, 0)
#define hcall3(nr, a, b, c) hcall(nr, (u32)(a), (u32)(b), (u32)(c), 0)

static inline u32 port_in(u32 port) {
  u32 value = 0;
  __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static inline void port_out(u32 port, u32 value) {
  __asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port));
}

/* One gate as LOAD_IDT_ENTRY takes it: type 0xE (interrupts off on entry) or 0xF (left alone). */
static inline void load_gate(u32 vector, u32 handler, u32 type, u32 dpl) {
  hcall3(LHCALL_LOAD_IDT_ENTRY, vector, (KERNEL_CS & ~3u) << 16 | (handler & 0xffff),
         (handler & 0xffff0000) | 0x8000 | dpl << 13 | type << 8);
}

/* A segment descriptor: `access` is the byte with type, S, DPL and P; `flags` the nibble with G and D/B. */
struct descriptor {
  u32 low, high;
};

static inline struct descriptor descriptor(u32 base, u32 limit, u32 access, u32 flags) {
  return (struct descriptor){
      .low = base << 16 | (limit & 0xffff),
      .high = (base & 0xff000000) | flags << 20 | (limit & 0xf0000) | access << 8 | (base >> 16 & 0xff),
  };
}

#endif
