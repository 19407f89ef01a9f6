/*
 * The way up for Xen: the guest is linked where it is loaded, in its own view of memory; machine frames are others. Marks go out by the
 * console's ring, which the Host empties when it is told.
 */
#include "platform.h"
#include "text.h"

#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A)
#define PAGE_ENTRIES (PAGE_SIZE / sizeof(pte_t))
#define PAGE_REACH (PAGE_ENTRIES * PAGE_SIZE)
#define MIDDLES 4

extern u8 trap_stack_top[], tables_start[], tables_end[];

static const u8 *start_info;
static u8 *console;
static pte_t middles[DIRECTORIES][MIDDLES][PAGE_ENTRIES] PAGE_TABLE;

const u32 *machine_frames;
u8 shared_info[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
struct multicall queue[QUEUE_MAX];
u32 queued;

static u32 start_word(u32 offset) { return *(const u32 *)(start_info + offset); }

/* What the machine-to-physical table says, which Xen shows to every guest. */
static u8 *page_of(u32 mfn) { return (u8 *)(((const u32 *)HYPERVISOR_VIRT_START)[mfn] * PAGE_SIZE); }

void put_text(const char *text) {
  volatile u32 *produced = (u32 *)(console + XENCONS_OUT_PROD);
  u32 port = start_word(START_CONSOLE_EVTCHN), at = *produced;
  while (*text)
    console[XENCONS_OUT + at++ % XENCONS_OUT_BYTES] = (u8)*text++;
  barrier();
  *produced = at;
  xen_call2(HYPERVISOR_EVENT_CHANNEL_OP, EVTCHNOP_SEND, (u32)&port);
}

const char *platform_start(const void *info) {
  start_info = info;
  machine_frames = (const u32 *)start_word(START_MFN_LIST);
  console = page_of(start_word(START_CONSOLE_MFN));
  xen_call2(HYPERVISOR_STACK_SWITCH, KERNEL_STACK_SELECTOR, (u32)trap_stack_top);
  return (const char *)start_info + START_CMD_LINE;
}

static void insist(u32 result) {
  if (result)
    unexpected();
}

static pte_t *middle_entry(u32 directory, u32 lin) {
  u32 index = (directory - (u32)directories) / PAGE_SIZE;
  return &middles[index][lin >> 30][lin / PAGE_REACH % PAGE_ENTRIES];
}

/* Before the tables are in use they are memory like any other. */
void link_table(u32 directory, u32 lin, pte_t *table) {
  pte_t *entry = middle_entry(directory, lin);
  ((pte_t *)directory)[lin >> 30] = machine_of((u32)entry & PAGE_MASK) | PTE_P;
  for (u32 page = 0; page < TABLE_ENTRIES; page += PAGE_ENTRIES)
    *entry++ = machine_of((u32)(table + page)) | TABLE_FLAGS;
}

static void set_rights(struct multicall *call, u32 page, u32 rights) {
  *call = (struct multicall){
      HYPERVISOR_UPDATE_VA_MAPPING, 0, {page, machine_of(page) | PTE_P | PTE_A | PTE_D | rights, 0, UVMF_INVLPG, 0, 0}};
}

/* Puts what maps a table's pages into a directory, and the right to write them the other way. */
static void exchange_table(u32 directory, u32 lin, pte_t *table, u32 entries, int gives) {
  struct mmu_update update[TABLE_ENTRIES / PAGE_ENTRIES];
  struct multicall calls[1 + COUNT_OF(update)];
  pte_t *middle = middle_entry(directory, lin);
  u32 pages = (entries + PAGE_ENTRIES - 1) / PAGE_ENTRIES;
  for (u32 page = 0; page < pages; page++) {
    u32 at = (u32)table + page * PAGE_SIZE;
    update[page].where = machine_of((u32)(middle + page));
    update[page].value = gives ? machine_of(at) | TABLE_FLAGS : 0;
    set_rights(&calls[gives ? page : page + 1], at, gives ? 0 : PTE_RW);
  }
  calls[gives ? pages : 0] =
      (struct multicall){HYPERVISOR_MMU_UPDATE, 0, {(u32)update, pages, 0, DOMID_SELF, 0, 0}};
  insist(xen_call2(HYPERVISOR_MULTICALL, (u32)calls, pages + 1));
  for (u32 call = 0; call <= pages; call++)
    insist(calls[call].result);
}
void take_table(u32 directory, u32 lin, pte_t *table, u32 entries) {
  exchange_table(directory, lin, table, entries, 0);
}
void give_table(u32 directory, u32 lin, pte_t *table, u32 entries) {
  exchange_table(directory, lin, table, entries, 1);
}

/* Page tables are only read, those that Xen began with too; struct shared_info has a page of the guest's to be seen in. */
static void protect_tables(pte_t *ram) {
  u32 first = start_word(START_PT_BASE), last = first + start_word(START_NR_PT_FRAMES) * PAGE_SIZE;
  for (u32 page = first; page < last; page += PAGE_SIZE)
    ram[page / PAGE_SIZE] &= ~(pte_t)PTE_RW;
  for (u32 page = (u32)tables_start; page < (u32)tables_end; page += PAGE_SIZE)
    ram[page / PAGE_SIZE] &= ~(pte_t)PTE_RW;
  ram[(u32)shared_info / PAGE_SIZE] = start_word(START_SHARED_INFO) | PTE_P | PTE_RW | PTE_A | PTE_D;
  for (u32 page = (u32)tables_start; page < (u32)tables_end; page += PAGE_SIZE) {
    struct multicall call;
    set_rights(&call, page, 0);
    insist(xen_call(call.op, call.args[0], call.args[1], 0, call.args[3]));
  }
}

void platform_tables_on(u32 directory, pte_t *ram) {
  struct mmuext ops[DIRECTORIES + 2];
  protect_tables(ram);
  for (u32 index = 0; index < DIRECTORIES; index++)
    ops[index] = (struct mmuext){MMUEXT_PIN_L3_TABLE, machine_of((u32)directories[index]) / PAGE_SIZE, 0};
  ops[DIRECTORIES] = (struct mmuext){MMUEXT_NEW_BASEPTR, machine_of(directory) / PAGE_SIZE, 0};
  ops[DIRECTORIES + 1] =
      (struct mmuext){MMUEXT_UNPIN_TABLE, machine_of(start_word(START_PT_BASE)) / PAGE_SIZE, 0};
  insist(xen_call(HYPERVISOR_MMUEXT_OP, (u32)ops, COUNT_OF(ops), 0, DOMID_SELF));
}

void platform_gate(u32 vector, void (*handler)(void), u32 dpl) {
  const struct __attribute__((packed)) {
    u8 vector, flags;
    u16 cs;
    u32 address;
  } traps[] = {{(u8)vector, (u8)dpl, KERNEL_CODE_SELECTOR, (u32)handler}, {0, 0, 0, 0}};
  insist(xen_call2(HYPERVISOR_SET_TRAP_TABLE, (u32)traps, 0));
}

void platform_end(void) {
  u32 reason = SHUTDOWN_POWEROFF;
  for (;;)
    xen_call2(HYPERVISOR_SCHED_OP, SCHEDOP_SHUTDOWN, (u32)&reason);
}
