/*
 * Several processors: how they start, what messages reach them, and what one must see of what another did to memory, code and page
 * tables. A line "ok RULE" or "BAD RULE" for each; the exit code is the number of bad ones. The other processors wait in a loop for
 * work, so every rule also says that nobody who waits keeps the others out.
 */
#include "abi.gen.h"
#include "bare.h"

#define MESSAGE 0x21
#define TIMER 0x22
#define TRAMPOLINE 0x8000u
#define PROCESSORS 8
#define WINDOW 0x40000000u
#define PATIENCE 20000000u
#define LARGE_PAGE 0x400000u

#define PTE_FLAGS (PTE_P | PTE_RW)

typedef u32 (*work_t)(u32 id);
typedef u32 (*code_t)(void);

extern const u8 trampoline[], trampoline_end[];
void message_interrupt(void);
void nmi_interrupt(void);
void apic_timer_interrupt(void);
void on_message(void);
void on_nmi(void);
void on_apic_timer(void);
void processor_main(u32 id);

static volatile struct {
  work_t work;
  u32 result;
} box[PROCESSORS];
static volatile u32 online, messages[PROCESSORS], nmis[PROCESSORS], timers[PROCESSORS];
static volatile u32 is_paged, flag, shared, lock;
static volatile u64 last_tsc;
static u64 idt[TIMER + 1];
static u32 processors = 1, bad;
static u32 directory[1024] __attribute__((aligned(4096)));
static volatile u32 table[1024] __attribute__((aligned(4096)));
static u8 frames[2][4096] __attribute__((aligned(4096)));

static volatile u32 *apic(u32 offset) { return (volatile u32 *)(APIC_GPA + offset); }
static u32 own_id(void) { return *apic(APIC_ID) >> 24; }

void on_message(void) {
  u32 id = own_id();
  if (is_paged)
    __asm__ volatile("invlpg %0" : : "m"(*(u8 *)WINDOW) : "memory");
  messages[id]++;
  *apic(APIC_EOI) = 0;
}
void on_nmi(void) { nmis[own_id() % PROCESSORS]++; }
void on_apic_timer(void) {
  timers[own_id()]++;
  *apic(APIC_EOI) = 0;
}

static void processor_on(u32 id) {
  load_idt(idt, COUNT_OF(idt));
  *apic(APIC_SPURIOUS) = APIC_SPURIOUS_ENABLE | 0xff;
  *apic(APIC_DFR) = 0xffffffff;
  *apic(APIC_LDR) = 1u << (24 + id);
  __asm__ volatile("sti");
}

void processor_main(u32 id) {
  processor_on(id);
  __asm__ volatile("lock; incl %0" : "+m"(online));
  for (;;) {
    work_t work = box[id].work;
    if (!work)
      continue;
    box[id].result = work(id);
    barrier();
    box[id].work = NULL;
  }
}

static void check(const char *rule, int is_good) {
  say(is_good ? "ok " : "BAD ");
  say(rule);
  say("\n");
  if (!is_good)
    bad++;
}

/* Waits for a word that another processor writes. */
static int comes(const volatile u32 *word, u32 value) {
  for (u32 i = 0; i < PATIENCE; i++)
    if (*word == value)
      return 1;
  return 0;
}

static void begin(u32 id, work_t work) { box[id].work = work; }
static u32 finish(u32 id) {
  for (u32 i = 0; i < PATIENCE && box[id].work; i++)
    ;
  return box[id].work ? 0xffffffff : box[id].result;
}
/* Whether `work` gives `result` on each of the other processors, one after the other. */
static int all_give(work_t work, u32 result) {
  for (u32 id = 1; id < processors; id++) {
    begin(id, work);
    if (finish(id) != result)
      return 0;
  }
  return 1;
}

static void send(u32 command, u32 destination) {
  *apic(APIC_ICR_HIGH) = destination << 24;
  *apic(APIC_ICR_LOW) = command;
}

/* Bit n: a message reached processor n, and exactly one did. */
static u32 reached(u32 command, u32 destination, u32 expected) {
  for (u32 id = 0; id < processors; id++)
    messages[id] = 0;
  send(command, destination);
  u32 mask = 0;
  for (u32 id = 0; id < processors; id++)
    if (expected & 1u << id && comes(&messages[id], 1))
      mask |= 1u << id;
  /* Whoever was not meant has had turns enough by now. */
  for (u32 id = 0; id < processors; id++)
    if (messages[id] && !(expected & 1u << id))
      mask |= 0x100;
  return mask;
}

static void check_messages(void) {
  u32 all = (1u << processors) - 1;
  check("to self", reached(MESSAGE | 0x40000, 0, 1) == 1);
  check("to all", reached(MESSAGE | 0x80000, 0, all) == all);
  check("to all but self", reached(MESSAGE | 0xc0000, 0, all - 1) == all - 1);
  check("by identifier", reached(MESSAGE, 1, 2) == 2);
  check("to every identifier", reached(MESSAGE, 0xff, all) == all);
  check("by logical mask", reached(MESSAGE | 0x800, 3, 3) == 3);
}

static u32 wait_for_nmi(u32 id) {
  __asm__ volatile("cli");
  flag = 1;
  while (nmis[id] == 0)
    __asm__ volatile("hlt");
  __asm__ volatile("sti");
  return nmis[id];
}
static u32 wait_for_timer(u32 id) {
  *apic(APIC_TIMER_DIVIDE) = 0xb;
  *apic(APIC_LVT_TIMER) = TIMER;
  __asm__ volatile("cli");
  *apic(APIC_TIMER_INITIAL) = 30000 * id;
  while (timers[id] == 0)
    __asm__ volatile("sti; hlt; cli");
  __asm__ volatile("sti");
  return timers[id];
}

static void enable_apic(int is_enabled) {
  u32 low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
  low = is_enabled ? low | APIC_BASE_ENABLE : low & ~APIC_BASE_ENABLE;
  __asm__ volatile("wrmsr" : : "a"(low), "d"(high), "c"(MSR_APIC_BASE));
}
static u32 leave_the_bus(u32 id) {
  enable_apic(0);
  flag = 1;
  while (flag == 1)
    ;
  enable_apic(1);
  processor_on(id);
  return messages[id] + nmis[id];
}

static void check_bus(void) {
  u32 before = nmis[1];
  flag = messages[1] = 0;
  begin(1, leave_the_bus);
  int is_off = comes(&flag, 1);
  send(DELIVERY_NMI << 8, 1);
  send(MESSAGE, 1);
  for (u32 i = 0; i < 20000; i++)
    barrier();
  flag = 2;
  check("an APIC that its MSR disables takes no message", is_off && finish(1) == before);
}

static void check_waiting(void) {
  flag = 0;
  begin(1, wait_for_nmi);
  int is_there = comes(&flag, 1);
  for (u32 i = 0; i < 20000; i++)
    barrier();
  send(DELIVERY_NMI << 8, 1);
  check("NMI wakes from HLT with interrupts off", is_there && finish(1) == 1);
  for (u32 id = 1; id < processors; id++)
    begin(id, wait_for_timer);
  int is_good = 1;
  for (u32 id = 1; id < processors; id++)
    if (finish(id) != 1)
      is_good = 0;
  check("each has a timer of its own", is_good);
}

/* mov eax, value; ret */
static void write_code(u8 *at, u32 value) {
  at[0] = 0xb8;
  *(u32 *)(at + 1) = value;
  at[5] = 0xc3;
}
static u32 call_frame(u32 id) { return ((code_t)frames[id & 0])(); }
static u32 call_window(u32 id) { return ((code_t)(WINDOW + (id & 0)))(); }
static u32 call_until_changed(u32 id) {
  u32 calls = 0;
  flag = 1;
  while (call_frame(id) != 0xdead)
    calls++;
  return calls > 0;
}

static void check_code(void) {
  int is_good = 1;
  for (u32 value = 1; value <= 100; value++) {
    write_code(frames[0], value);
    if (call_frame(0) != value || !all_give(call_frame, value))
      is_good = 0;
  }
  check("code that another wrote is what runs", is_good);
  flag = 0;
  begin(1, call_until_changed);
  comes(&flag, 1);
  for (u32 i = 0; i < 30000; i++)
    barrier();
  write_code(frames[0], 0xdead);
  check("also in the middle of a loop", finish(1) == 1);
}

static u32 turn_paging_on(u32 id) {
  u32 cr4, cr0;
  __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
  __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_PSE));
  __asm__ volatile("mov %0, %%cr3" : : "r"(directory));
  __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
  __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_PG | CR0_WP));
  return id & 0;
}
static u32 read_window(u32 id) { return *(volatile u32 *)(WINDOW + 16 + (id & 0)); }
static u32 write_window(u32 id) {
  *(volatile u32 *)(WINDOW + 32) = id;
  return table[0] & (PTE_A | PTE_D);
}

/* Everybody drops the window's translation and says so. */
static int shoot_down(u32 entry) {
  table[0] = entry;
  u32 all = (1u << processors) - 1;
  return reached(MESSAGE | 0x80000, 0, all) == all;
}

static void check_paging(void) {
  for (u32 i = 0; i < 2; i++)
    directory[i] = i * LARGE_PAGE | PTE_FLAGS | PTE_PS;
  directory[APIC_GPA >> 22] = (APIC_GPA & ~(LARGE_PAGE - 1)) | PTE_FLAGS | PTE_PS;
  directory[WINDOW >> 22] = (u32)table | PTE_FLAGS;
  u32 first = (u32)frames[0] | PTE_FLAGS, second = (u32)frames[1] | PTE_FLAGS;
  write_code(frames[0], 1);
  write_code(frames[1], 2);
  *(u32 *)(frames[0] + 16) = 11;
  *(u32 *)(frames[1] + 16) = 22;
  table[0] = first;
  turn_paging_on(0);
  is_paged = 1;
  check("paging on everywhere", all_give(turn_paging_on, 0));
  check("one table for all", read_window(0) == 11 && all_give(read_window, 11));
  check("and for code", all_give(call_window, 1));
  check("a page elsewhere after everybody was told", shoot_down(second) && all_give(read_window, 22));
  check("and its code", all_give(call_window, 2));
  write_code(frames[1], 3);
  check("code written under its other address", all_give(call_window, 3));
  int is_good = 1;
  for (u32 id = 1; id < processors; id++) {
    if (!shoot_down(first) || (read_window(0), table[0] & PTE_D))
      is_good = 0;
    begin(id, write_window);
    if (finish(id) != (PTE_A | PTE_D) || *(u32 *)(frames[0] + 32) != id)
      is_good = 0;
  }
  check("the first to write marks the page dirty", is_good);
}

static u32 add_a_lot(u32 id) {
  for (u32 i = 0; i < 3000; i++) {
    __asm__ volatile("lock; incl %0" : "+m"(shared));
    u32 taken = 1;
    do
      __asm__ volatile("xchgl %0, %1" : "+r"(taken), "+m"(lock));
    while (taken);
    u32 now = flag;
    for (u32 pause = 0; pause < id; pause++)
      barrier();
    flag = now + 1;
    barrier();
    lock = 0;
  }
  return 0;
}
static u32 look_at_time(u32 id) {
  for (u32 i = 0; i < 500; i++) {
    u32 taken = 1;
    do
      __asm__ volatile("xchgl %0, %1" : "+r"(taken), "+m"(lock));
    while (taken);
    u64 now = rdtsc();
    u32 is_good = now > last_tsc;
    last_tsc = now;
    lock = 0;
    if (!is_good)
      return id;
  }
  return 0;
}

static void check_together(void) {
  shared = flag = lock = 0;
  for (u32 id = 1; id < processors; id++)
    begin(id, add_a_lot);
  add_a_lot(0);
  for (u32 id = 1; id < processors; id++)
    finish(id);
  check("locked additions and a lock lose nothing", shared == 3000 * processors && flag == shared);
  for (u32 id = 1; id < processors; id++)
    begin(id, look_at_time);
  int is_good = look_at_time(0) == 0;
  for (u32 id = 1; id < processors; id++)
    if (finish(id))
      is_good = 0;
  check("time goes forward from one to the other", is_good);
}

/* The interval timer's pin sends NMIs, and nothing else can end a HLT with interrupts off. */
void watchdog_main(void) {
  idt[2] = gate_to(nmi_interrupt);
  processor_on(0);
  out8(PORT_PIC_MASTER + 1, 0xff);
  *(volatile u32 *)(IOAPIC_GPA + IOAPIC_SELECT) = IOAPIC_REG_REDIRECTION + 2 * IOAPIC_TIMER_PIN;
  *(volatile u32 *)(IOAPIC_GPA + IOAPIC_WINDOW) = DELIVERY_NMI << 8;
  out8(PORT_PIT_CONTROL, 0x34);
  out8(PORT_PIT, 0);
  out8(PORT_PIT, 0x10);
  __asm__ volatile("cli");
  while (nmis[0] < 3)
    __asm__ volatile("hlt");
  out8(PORT_DEBUG_EXIT, (u8)nmis[0]);
}

void smp_main(void) {
  out8(PORT_PIC_MASTER + 1, 0xff);
  out8(PORT_PIC_SLAVE + 1, 0xff);
  idt[2] = gate_to(nmi_interrupt);
  idt[MESSAGE] = gate_to(message_interrupt);
  idt[TIMER] = gate_to(apic_timer_interrupt);
  for (u32 i = 0; trampoline + i < trampoline_end; i++)
    ((volatile u8 *)TRAMPOLINE)[i] = trampoline[i];
  processor_on(0);
  __asm__ volatile("outw %w0, %w1" : : "a"(FW_CFG_NB_CPUS), "d"(PORT_FW_CFG_SELECT));
  processors = in8(PORT_FW_CFG_DATA);
  say("processors ");
  say_number(processors);
  say("\n");
  check("nobody else runs yet", online == 0);
  send(0xc0000 | 0x4000 | DELIVERY_INIT << 8, 0);
  send(0xc0000 | DELIVERY_STARTUP << 8 | TRAMPOLINE >> 12, 0);
  check("INIT and a start-up message start all", comes(&online, processors - 1));
  check_messages();
  check_waiting();
  check_bus();
  check_code();
  check_paging();
  check_together();
  out8(PORT_DEBUG_EXIT, (u8)bad);
}
