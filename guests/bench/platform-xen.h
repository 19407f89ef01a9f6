/*
 * Xen's paravirtual interface, 32-bit: page tables of three levels that the guest may read and Xen alone writes, in machine frames. Every
 * change is a call that checks it; a list of changes that may wait is one multicall.
 */
#ifndef PLATFORM_XEN_H
#define PLATFORM_XEN_H

#define KERNEL_CODE_SELECTOR FLAT_RING1_CS
#define KERNEL_STACK_SELECTOR FLAT_RING1_DS
#define USER_CODE_SELECTOR FLAT_RING3_CS
#define USER_DATA_SELECTOR FLAT_RING3_DS
#define USER_EFLAGS EFLAGS_FIXED

#ifdef __ASSEMBLER__
#define READ_FAULT_ADDRESS movl shared_info + SI_VCPU_INFO + VI_CR2, %eax
#else
typedef u64 pte_t;

struct multicall {
  u32 op, result, args[6];
};
struct mmu_update {
  u64 where, value;
};
struct mmuext {
  u32 command, arg1, arg2;
};
_Static_assert(sizeof(struct multicall) == MULTICALL_ENTRY_BYTES, "struct multicall_entry");
_Static_assert(sizeof(struct mmu_update) == MMU_UPDATE_BYTES, "struct mmu_update");
_Static_assert(sizeof(struct mmuext) == MMUEXT_OP_BYTES, "struct mmuext_op");

extern const u32 *machine_frames;
extern u8 shared_info[PAGE_SIZE];

/* A call that takes long is made again with what is left in its own registers, so none of them is what it was. */
static inline u32 xen_call(u32 number, u32 arg1, u32 arg2, u32 arg3, u32 arg4) {
  __asm__ volatile("int %5"
                   : "+a"(number), "+b"(arg1), "+c"(arg2), "+d"(arg3), "+S"(arg4)
                   : "i"(TRAP_HYPERCALL)
                   : "memory");
  return number;
}
static inline u32 xen_call2(u32 number, u32 arg1, u32 arg2) {
  __asm__ volatile("int %3" : "+a"(number), "+b"(arg1), "+c"(arg2) : "i"(TRAP_HYPERCALL) : "memory");
  return number;
}

/* Where a byte of the guest's memory lies in the machine's, which is what page tables hold. */
static inline u32 machine_of(u32 lin) {
  return machine_frames[lin / PAGE_SIZE] * PAGE_SIZE | (lin & ~PAGE_MASK);
}

static inline void set_pte(pte_t *entry, u32 directory, u32 lin, pte_t pte) {
  (void)entry, (void)directory;
  xen_call(HYPERVISOR_UPDATE_VA_MAPPING, lin, (u32)pte, (u32)(pte >> 32), UVMF_INVLPG);
}

#define QUEUE_MAX 64
extern struct multicall queue[QUEUE_MAX];
extern u32 queued;

static inline void queue_pte(pte_t *entry, u32 directory, u32 lin, pte_t pte) {
  struct multicall *call = &queue[queued++];
  (void)entry, (void)directory;
  call->op = HYPERVISOR_UPDATE_VA_MAPPING;
  call->args[0] = lin;
  call->args[1] = (u32)pte;
  call->args[2] = (u32)(pte >> 32);
  call->args[3] = UVMF_INVLPG;
}
static inline void finish_queue(void) {
  u32 count = queued;
  queued = 0;
  if (count)
    xen_call2(HYPERVISOR_MULTICALL, (u32)queue, count);
}

static inline void switch_directory(u32 directory) {
  struct mmuext op = {MMUEXT_NEW_BASEPTR, machine_of(directory) / PAGE_SIZE, 0};
  xen_call(HYPERVISOR_MMUEXT_OP, (u32)&op, 1, 0, DOMID_SELF);
}
/* Loading the directory forgets what was cached of it. */
static inline void forget_table(u32 directory, u32 lin) { (void)directory, (void)lin; }
static inline void forget_user(void) {
  struct mmuext op = {MMUEXT_TLB_FLUSH_LOCAL, 0, 0};
  xen_call(HYPERVISOR_MMUEXT_OP, (u32)&op, 1, 0, DOMID_SELF);
}

void take_table(u32 directory, u32 lin, pte_t *table, u32 entries);
void give_table(u32 directory, u32 lin, pte_t *table, u32 entries);
#endif
#endif
