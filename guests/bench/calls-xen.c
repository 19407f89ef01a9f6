/* Single paravirtual calls under Xen, and lists of them: each as a loop that does nothing else. */
#include "machine.h"

#define LIST 32
#define UPDATES_MAX 128
#define TLS_ENTRIES 3
#define DESCRIPTORS (PAGE_SIZE / 8)

void event_stub(void), failsafe_stub(void);
void event_upcall(void);
void iret_call_loop(u32 times);

static struct multicall lists[2][LIST];
static struct mmu_update updates[2][UPDATES_MAX];
static u64 gdt[DESCRIPTORS] __attribute__((aligned(4096)));

static u32 event_call(u32 command, void *op) { return xen_call2(HYPERVISOR_EVENT_CHANNEL_OP, command, (u32)op); }

/* --- null: nothing to do, and done without the Host --- */
static void null(u32 times) {
  for (; times; times--)
    xen_call2(HYPERVISOR_XEN_VERSION, XENVER_VERSION, 0);
}

/* --- leave: a constant that the Host knows --- */
static void leave(u32 times) {
  for (; times; times--)
    xen_call2(HYPERVISOR_XEN_VERSION, XENVER_PAGESIZE, 0);
}

/* --- null32: a multicall of 32 null calls --- */
static void null32(u32 times) {
  for (u32 index = 0; index < LIST; index++)
    lists[0][index] = (struct multicall){HYPERVISOR_XEN_VERSION, 0, {XENVER_VERSION, 0, 0, 0, 0, 0}};
  for (; times; times--)
    xen_call2(HYPERVISOR_MULTICALL, (u32)lists[0], LIST);
}

/* --- set_pte: one page is mapped to one frame, then to another --- */
static void set_one_pte(u32 times) {
  u32 entry = frame_entry(0, USER_ENTRY), other = frame_entry(1, USER_ENTRY) ^ entry;
  for (; times; times--, entry ^= other)
    set_user_pte(user_page(0), entry);
}

/* --- set_pte32: the same for 32 pages, as a multicall --- */
static void set_pte32(u32 times) {
  for (u32 index = 0; index < 2 * LIST; index++) {
    queued = 0;
    queue_pte(NULL, 0, user_page(index % LIST), frame_entry(index, USER_ENTRY));
    lists[index / LIST][index % LIST] = queue[0];
  }
  queued = 0;
  for (; times; times--)
    xen_call2(HYPERVISOR_MULTICALL, (u32)lists[times & 1], LIST);
}

/* --- update1 to update128: the same as one mmu_update --- */
static void updates_of(u32 times, u32 count) {
  for (u32 index = 0; index < 2 * UPDATES_MAX; index++) {
    u32 page = index % UPDATES_MAX;
    struct mmu_update *update = &updates[index / UPDATES_MAX][page];
    update->where = machine_of((u32)&user_tables[0][page]) | MMU_NORMAL_PT_UPDATE;
    update->value = frame_entry(index, USER_ENTRY);
  }
  for (; times; times--)
    xen_call(HYPERVISOR_MMU_UPDATE, (u32)updates[times & 1], count, 0, DOMID_SELF);
}
static void update1(u32 times) { updates_of(times, 1); }
static void update8(u32 times) { updates_of(times, 8); }
static void update32(u32 times) { updates_of(times, 32); }
static void update128(u32 times) { updates_of(times, 128); }

/* --- event, timer: something becomes pending, the upcall comes, and its port is taken --- */
static volatile u32 *info_word(u32 offset) { return (volatile u32 *)(shared_info + offset); }
void event_upcall(void) {
  volatile u8 *info = shared_info + SI_VCPU_INFO;
  while (info[VI_UPCALL_PENDING]) {
    info[VI_UPCALL_PENDING] = 0;
    for (u32 word = 0; word < 2; word++) {
      *info_word(SI_VCPU_INFO + VI_PENDING_SEL) = 0;
      if (*info_word(SI_EVTCHN_PENDING + 4 * word) == 0)
        continue;
      *info_word(SI_EVTCHN_PENDING + 4 * word) = 0;
      traps++;
    }
  }
}
static void mask_events(u8 masked) { *(volatile u8 *)(shared_info + SI_VCPU_INFO + VI_UPCALL_MASK) = masked; }
static void open_events(void) {
  u32 selector = KERNEL_CODE_SELECTOR;
  *info_word(SI_EVTCHN_PENDING) = 0;
  *info_word(SI_VCPU_INFO + VI_PENDING_SEL) = 0;
  *(volatile u8 *)(shared_info + SI_VCPU_INFO + VI_UPCALL_PENDING) = 0;
  xen_call(HYPERVISOR_SET_CALLBACKS, selector, (u32)event_stub, selector, (u32)failsafe_stub);
  mask_events(0);
}

static void event(u32 times) {
  static struct {
    u32 vcpu, port;
  } own;
  if (own.port == 0 && event_call(EVTCHNOP_BIND_IPI, &own))
    unexpected();
  open_events();
  for (; times; times--)
    event_call(EVTCHNOP_SEND, &own.port);
  mask_events(1);
}

static void timer(u32 times) {
  static struct {
    u32 virq, vcpu, port;
  } own = {VIRQ_TIMER, 0, 0};
  if (own.port == 0 && event_call(EVTCHNOP_BIND_VIRQ, &own))
    unexpected();
  open_events();
  for (; times; times--) {
    u32 before = traps;
    xen_call2(HYPERVISOR_SET_TIMER_OP, 1, 0);
    while (*(volatile u32 *)&traps == before)
      ;
  }
  mask_events(1);
}

/* --- switch: base pointer; then three descriptors of the thread's own, the stack, and the FPU, as a multicall --- */
static void load_gdt(void) {
  static u32 mfn;
  if (mfn)
    return;
  mfn = machine_of((u32)gdt) / PAGE_SIZE;
  if (xen_call(HYPERVISOR_UPDATE_VA_MAPPING, (u32)gdt, mfn * PAGE_SIZE | PTE_P | PTE_A | PTE_D, 0, UVMF_INVLPG) ||
      xen_call2(HYPERVISOR_SET_GDT, (u32)&mfn, DESCRIPTORS))
    unexpected();
}
static void switches(u32 times) {
  extern u8 trap_stack_top[];
  load_gdt();
  for (u32 which = 0; which < 2; which++) {
    struct multicall *call = lists[which];
    for (u32 index = 0; index < TLS_ENTRIES; index++)
      *call++ = (struct multicall){HYPERVISOR_UPDATE_DESCRIPTOR, 0,
                                   {machine_of((u32)&gdt[6 + index]), 0, (which << 16) | 0xffff, 0x00cff300, 0, 0}};
    *call++ = (struct multicall){HYPERVISOR_STACK_SWITCH, 0, {KERNEL_STACK_SELECTOR, (u32)trap_stack_top, 0, 0, 0, 0}};
    *call++ = (struct multicall){HYPERVISOR_FPU_TASKSWITCH, 0, {1, 0, 0, 0, 0, 0}};
  }
  for (; times; times--) {
    switch_directory(directory(times & 1));
    xen_call2(HYPERVISOR_MULTICALL, (u32)lists[times & 1], TLS_ENTRIES + 2);
  }
  xen_call2(HYPERVISOR_FPU_TASKSWITCH, 0, 0);
  switch_directory(directory(0));
}

/* --- iret: the call by which a kernel returns, here to itself --- */
static void iret(u32 times) { iret_call_loop(times); }

const struct scenario scenarios[] = {
    {"syscall", syscall},   {"null", null},         {"leave", leave},     {"null32", null32},
    {"set_pte", set_one_pte}, {"set_pte32", set_pte32}, {"update1", update1}, {"update8", update8},
    {"update32", update32}, {"update128", update128}, {"event", event},   {"timer", timer},
    {"switch", switches},   {"fault", fill},        {"iret", iret},       {NULL, NULL},
};
