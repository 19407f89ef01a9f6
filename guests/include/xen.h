/*
 * Xen's 32-bit paravirtual ABI from the guest's side: the structures it shares with the hypervisor, and how it calls.
 *
 * Numbers come from abi/ by way of abi.gen.h; this file adds what only C can say.
 */
#ifndef XEN_H
#define XEN_H

#include "abi.gen.h"
#include "types.h"

#define KERNEL_CS FLAT_RING1_CS
#define KERNEL_DS FLAT_RING1_DS
#define USER_CS FLAT_RING3_CS
#define USER_DS FLAT_RING3_DS

/* What a vCPU shares. Volatile throughout: each side writes behind the other's back. */
struct vcpu_info {
  volatile u8 upcall_pending, upcall_mask;
  volatile u32 pending_sel;
  volatile u32 cr2, unused[5];
  volatile u32 time_version, time_pad;
  volatile u64 tsc_timestamp, system_time;
  volatile u32 tsc_to_system_mul;
  volatile signed char tsc_shift;
  volatile u8 time_flags, time_pad2[2];
};

struct shared_info {
  struct vcpu_info vcpu_info[XEN_LEGACY_MAX_VCPUS];
  volatile u32 evtchn_pending[32], evtchn_mask[32];
  volatile u32 wc_version, wc_sec, wc_nsec;
  volatile u32 max_pfn, frame_list_list, nmi_reason, p2m_cr3, p2m_vaddr, p2m_generation, wc_sec_hi;
};

struct start_info {
  char magic[32];
  u32 nr_pages, shared_info, flags, store_mfn, store_evtchn, console_mfn, console_evtchn;
  u32 pt_base, nr_pt_frames, mfn_list, mod_start, mod_len;
  char cmd_line[START_CMD_LINE_BYTES];
  u32 first_p2m_pfn, nr_p2m_frames;
};

_Static_assert(sizeof(struct vcpu_info) == VCPU_INFO_BYTES, "struct vcpu_info");
_Static_assert(sizeof(struct shared_info) == SHARED_INFO_BYTES, "struct shared_info");
_Static_assert(sizeof(struct start_info) == START_INFO_BYTES, "struct start_info");

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u32 address;
};

struct cpu_user_regs {
  u32 ebx, ecx, edx, esi, edi, ebp, eax;
  u16 error_code, entry_vector;
  u32 eip;
  u16 cs;
  u8 saved_upcall_mask, unused;
  u32 eflags, esp;
  u32 ss, es, ds, fs, gs;
};

/* What a vCPU begins with. */
struct vcpu_guest_context {
  u8 fpu[512];
  u32 flags;
  struct cpu_user_regs user_regs;
  struct trap_info trap_ctxt[256];
  u32 ldt_base, ldt_ents;
  u32 gdt_frames[16], gdt_ents;
  u32 kernel_ss, kernel_sp;
  u32 ctrlreg[8], debugreg[8];
  u32 event_callback_cs, event_callback_eip;
  u32 failsafe_callback_cs, failsafe_callback_eip;
  u32 vm_assist;
};

struct vcpu_runstate_info {
  u32 state;
  u64 state_entry_time, time[4];
} __attribute__((packed));

_Static_assert(sizeof(struct vcpu_guest_context) == VGC_BYTES, "struct vcpu_guest_context");
_Static_assert(sizeof(struct cpu_user_regs) == CUR_BYTES, "struct cpu_user_regs");
_Static_assert(sizeof(struct vcpu_runstate_info) == RUNSTATE_INFO_BYTES, "struct vcpu_runstate_info");

struct mmu_update {
  u64 ptr, val;
};

struct mmuext_op {
  u32 cmd, arg1, arg2;
};

struct multicall_entry {
  u32 op;
  volatile s32 result;
  u32 args[6];
};

struct callback_register {
  u16 type, flags;
  u32 cs, eip;
};

struct memory_reservation {
  u32 *extents;
  u32 nr_extents, order, flags;
  u16 domid, unused;
};

/* A segment descriptor: `access` is the byte with type, S, DPL and P; `flags` the nibble with G, D/B and L. */
static inline u64 descriptor(u32 base, u32 limit, u32 access, u32 flags) {
  u32 low = base << 16 | (limit & 0xffff);
  u32 high = (base & 0xff000000) | flags << 20 | (limit & 0xf0000) | access << 8 | (base >> 16 & 0xff);
  return (u64)high << 32 | low;
}

static inline u64 call_gate(u32 selector, u32 eip, u32 access) {
  return (u64)((eip & 0xffff0000) | access << 8) << 32 | selector << 16 | (eip & 0xffff);
}

/* The page of stubs that the domain builder fills. */
extern u8 hypercall_page[];

/* Calls through the page. A call that is made again for what is left of it comes with other arguments, so all of them change. */
static inline s32 hypercall(u32 nr, u32 a, u32 b, u32 c, u32 d, u32 e) {
  s32 result;
  __asm__ volatile("call *%%eax"
                   : "=a"(result), "+b"(a), "+c"(b), "+d"(c), "+S"(d), "+D"(e)
                   : "0"(hypercall_page + nr * HYPERCALL_SLOT_BYTES)
                   : "memory");
  return result;
}

#define hypercall0(nr) hypercall(nr, 0, 0, 0, 0, 0)
#define hypercall1(nr, a) hypercall(nr, (u32)(a), 0, 0, 0, 0)
#define hypercall2(nr, a, b) hypercall(nr, (u32)(a), (u32)(b), 0, 0, 0)
#define hypercall3(nr, a, b, c) hypercall(nr, (u32)(a), (u32)(b), (u32)(c), 0, 0)
#define hypercall4(nr, a, b, c, d) hypercall(nr, (u32)(a), (u32)(b), (u32)(c), (u32)(d), 0)

static inline s32 set_trap_table(const void *table) { return hypercall1(HYPERVISOR_SET_TRAP_TABLE, table); }
static inline s32 mmu_update(const void *list, u32 count, u32 *done, u32 domid) {
  return hypercall4(HYPERVISOR_MMU_UPDATE, list, count, done, domid);
}
static inline s32 mmuext_op(const void *list, u32 count, u32 *done, u32 domid) {
  return hypercall4(HYPERVISOR_MMUEXT_OP, list, count, done, domid);
}
static inline s32 update_va_mapping(u32 lin, u64 entry, u32 flags) {
  return hypercall4(HYPERVISOR_UPDATE_VA_MAPPING, lin, (u32)entry, (u32)(entry >> 32), flags);
}
static inline s32 update_descriptor(u64 address, u64 value) {
  return hypercall4(HYPERVISOR_UPDATE_DESCRIPTOR, (u32)address, (u32)(address >> 32), (u32)value, (u32)(value >> 32));
}
static inline s32 set_gdt(const u32 *frames, u32 entries) { return hypercall2(HYPERVISOR_SET_GDT, frames, entries); }
static inline s32 stack_switch(u32 ss, u32 esp) { return hypercall2(HYPERVISOR_STACK_SWITCH, ss, esp); }
static inline s32 multicall(struct multicall_entry *list, u32 count) {
  return hypercall2(HYPERVISOR_MULTICALL, list, count);
}
static inline s32 callback_op(u32 command, const void *argument) {
  return hypercall2(HYPERVISOR_CALLBACK_OP, command, argument);
}
static inline s32 sched_op(u32 command, const void *argument) {
  return hypercall2(HYPERVISOR_SCHED_OP, command, argument);
}
static inline s32 vcpu_op(u32 command, u32 vcpu, const void *argument) {
  return hypercall3(HYPERVISOR_VCPU_OP, command, vcpu, argument);
}
static inline s32 event_channel_op(u32 command, const void *argument) {
  return hypercall2(HYPERVISOR_EVENT_CHANNEL_OP, command, argument);
}
static inline s32 memory_op(u32 command, const void *argument) {
  return hypercall2(HYPERVISOR_MEMORY_OP, command, argument);
}
static inline s32 grant_table_op(u32 command, void *list, u32 count) {
  return hypercall3(HYPERVISOR_GRANT_TABLE_OP, command, list, count);
}
static inline s32 xen_version(u32 command, void *argument) {
  return hypercall2(HYPERVISOR_XEN_VERSION, command, argument);
}
static inline s32 physdev_op(u32 command, const void *argument) {
  return hypercall2(HYPERVISOR_PHYSDEV_OP, command, argument);
}
static inline s32 vm_assist(u32 command, u32 type) { return hypercall2(HYPERVISOR_VM_ASSIST, command, type); }
static inline s32 set_timer_op(u64 deadline) {
  return hypercall2(HYPERVISOR_SET_TIMER_OP, (u32)deadline, (u32)(deadline >> 32));
}

#endif
