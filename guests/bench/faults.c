/*
 * The round trips that are measured: page faults, system calls, traps and address-space switches, each as a loop that does nothing else.
 * The command line says which to run and how often: plan=NAME:ITERATIONS[*REPEATS],... and, if the whole plan is run several times,
 * rounds=N. Each run prints a line "[" before its loop, a line
 * "]" after it, and a line with the number of faults and traps that its handlers saw; the last line is "done".
 */
#include "platform.h"
#include "text.h"

#define RAM_BYTES (16u << 20)
#define TABLE_BYTES (4u << 20)
#define TABLE_ENTRIES 1024
#define USER_WINDOW 0x40000000u   /* test pages of ring 3: one table in each directory */
#define KERNEL_WINDOW 0xc1000000u /* test pages of the kernel: one table in all directories */
#define PAGES 1024
#define DIRECTORIES 9             /* more than a Host keeps cached */
#define SWITCH_PAGES 16
#define FORK_PAGES 16
#define FORK_WRITES 4
#define QUEUED 32

#define KERNEL_ENTRY (PTE_P | PTE_RW | PTE_A | PTE_D)
#define USER_ENTRY (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define SHARED_ENTRY (PTE_P | PTE_US | PTE_A)

#define USER_CODE __attribute__((section(".user.text"), noinline, used))
#define USER_DATA __attribute__((section(".user.data")))
#define HANDLER __attribute__((regparm(1)))

typedef void HANDLER (*fault_handler_t)(u32 lin);

extern u8 user_start[], user_end[];
void page_fault_stub(void), protection_stub(void), lean_call_stub(void), full_call_stub(void), leave_stub(void),
    back_stub(void), unexpected_stub(void);
void enter_user(u32 eip, u32 esp);
void user_leave(void);
void iret_loop(u32 times, u32 frame);
void iret_user(void);
void iret_prepare(void);
void unexpected(void);

static u32 directories[DIRECTORIES][TABLE_ENTRIES] __attribute__((aligned(4096)));
static u32 user_tables[DIRECTORIES][TABLE_ENTRIES] __attribute__((aligned(4096)));
static u32 ram_tables[RAM_BYTES / TABLE_BYTES][TABLE_ENTRIES] __attribute__((aligned(4096)));
static u32 kernel_table[TABLE_ENTRIES] __attribute__((aligned(4096)));
static u8 frames[PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static u32 user_stack[PAGE_SIZE / 4] USER_DATA = {0};

u32 traps;
fault_handler_t page_fault_handler;
void (*system_call_handler)(void);

static u32 frame(u32 index) { return (u32)frames[index]; }
static u32 directory(u32 index) { return (u32)directories[index]; }
static u32 user_page(u32 index) { return USER_WINDOW + index * PAGE_SIZE; }
static u32 kernel_page(u32 index) { return KERNEL_WINDOW + index * PAGE_SIZE; }

/* The page of a window that an address lies in has a frame of its own; the sums of constants are the compiler's. */
static inline u32 user_frame(u32 page) { return page + ((u32)frames - USER_WINDOW); }
static inline u32 kernel_frame(u32 page) { return page + ((u32)frames - KERNEL_WINDOW); }
static inline u32 *entry_in(u32 *table, u32 window, u32 page) {
  return (u32 *)((u32)table - (window >> 12) * sizeof *table) + (page >> 12);
}

/* The first directory's entry of a page is written, and the platform told. */
static inline void set_user_pte(u32 page, u32 pte) {
  *entry_in(user_tables[0], USER_WINDOW, page) = pte;
  tell_pte((u32)directories[0], page, pte);
}
static inline void set_kernel_pte(u32 page, u32 pte) {
  *entry_in(kernel_table, KERNEL_WINDOW, page) = pte;
  tell_pte((u32)directories[0], page, pte);
}

static void at_ring3(void (*function)(u32 times), u32 times) {
  u32 *esp = user_stack + COUNT_OF(user_stack) - 4;
  *--esp = times;
  *--esp = (u32)user_leave;
  enter_user((u32)function, (u32)esp);
}

static inline __attribute__((always_inline)) void user_system_call(void) {
  __asm__ volatile("int %0" : : "i"(VECTOR_LEAN_CALL) : "memory");
}

/* Writes two pages in turn. */
USER_CODE static void user_alternate(u32 times) {
  u32 page = USER_WINDOW;
  for (; times; times--) {
    *(volatile u32 *)page = times;
    page ^= PAGE_SIZE;
  }
}

/* --- pingpong: each write finds its page unmapped; the handler maps it and unmaps the other one --- */
static HANDLER void pingpong_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  set_user_pte(page, user_frame(page) + USER_ENTRY);
  set_user_pte(page ^ PAGE_SIZE, 0);
}
static void pingpong(u32 times) {
  page_fault_handler = pingpong_fault;
  set_user_pte(user_page(0), 0);
  at_ring3(user_alternate, times);
}

/* --- remap: one page is touched, faulted in, and unmapped again by a full system call --- */
static HANDLER void map_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  set_user_pte(page, user_frame(page) + USER_ENTRY);
}
static void remap_call(void) { set_user_pte(user_page(0), 0); }
USER_CODE static void user_remap(u32 times) {
  for (; times; times--) {
    *(volatile u32 *)USER_WINDOW = times;
    user_system_call();
  }
}
static void remap(u32 times) {
  page_fault_handler = map_fault;
  system_call_handler = remap_call;
  set_user_pte(user_page(0), 0);
  at_ring3(user_remap, times);
}

/* --- fill: 1,024 pages are faulted in, one iteration each; then the table is emptied and the directory loaded again --- */
static void fill_call(void) {
  memset(user_tables[0], 0, sizeof user_tables[0]);
  forget_user();
}
USER_CODE static void user_fill(u32 times) {
  for (u32 page = USER_WINDOW; times; times--) {
    *(volatile u32 *)page = times;
    page += PAGE_SIZE;
    if (page == USER_WINDOW + PAGES * PAGE_SIZE) {
      page = USER_WINDOW;
      user_system_call();
    }
  }
}
static void fill(u32 times) {
  page_fault_handler = map_fault;
  system_call_handler = fill_call;
  fill_call();
  at_ring3(user_fill, times);
}

/* --- kernel: the kernel itself touches an address that is mapped on demand --- */
static HANDLER void kernel_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  set_kernel_pte(page, kernel_frame(page) + KERNEL_ENTRY);
}
static void kernel(u32 times) {
  page_fault_handler = kernel_fault;
  for (; times; times--) {
    set_kernel_pte(kernel_page(0), 0);
    *(volatile u32 *)KERNEL_WINDOW = times;
  }
}

/* --- cow: a write to a shared page; the handler copies the page, and shares the other one again --- */
static inline void copy_page(u32 to, u32 from) {
  u32 words = PAGE_SIZE / 4;
  __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}
static HANDLER void cow_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  copy_page(user_frame(page), frame(2));
  set_user_pte(page, user_frame(page) + USER_ENTRY);
  set_user_pte(page ^ PAGE_SIZE, frame(2) | SHARED_ENTRY);
}
static void cow(u32 times) {
  page_fault_handler = cow_fault;
  set_user_pte(user_page(0), frame(2) | SHARED_ENTRY);
  set_user_pte(user_page(1), frame(2) | SHARED_ENTRY);
  at_ring3(user_alternate, times);
}

/* --- dirty: a page never used is read, then written: accessed and dirty bits are set one after the other --- */
static void dirty(u32 times) {
  for (; times; times--) {
    set_kernel_pte(kernel_page(0), frame(0) | PTE_P | PTE_RW);
    u32 value = *(volatile u32 *)KERNEL_WINDOW;
    *(volatile u32 *)KERNEL_WINDOW = value + 1;
  }
}

/* --- ring: at every fault, many changes of other entries are queued; the handler's first call has to do them all --- */
static void queue_changes(void) {
  u32 pte = frame(2) + USER_ENTRY;
  for (u32 page = user_page(2); page < user_page(2 + QUEUED); page += PAGE_SIZE, pte += PAGE_SIZE) {
    *entry_in(user_tables[0], USER_WINDOW, page) = pte;
    queue_pte(directory(0), page, pte);
  }
}
static HANDLER void ring_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  set_user_pte(page, user_frame(page) + USER_ENTRY);
  set_user_pte(page ^ PAGE_SIZE, 0);
  queue_changes();
}
static void ring(u32 times) {
  page_fault_handler = ring_fault;
  set_user_pte(user_page(0), 0);
  queue_changes();
  at_ring3(user_alternate, times);
}

/* --- fork: a new table full of shared pages replaces an old one; the child writes some of them --- */
static u32 *child_table;
static u32 child_directory;
static HANDLER void fork_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  u32 own = user_frame(page) + FORK_PAGES * PAGE_SIZE;
  traps++;
  copy_page(own, user_frame(page));
  *entry_in(child_table, USER_WINDOW, page) = own + USER_ENTRY;
  tell_pte(child_directory, page, own + USER_ENTRY);
}
USER_CODE static void user_child(u32 times) {
  for (; times; times--)
    *(volatile u32 *)(USER_WINDOW + times * PAGE_SIZE) = times;
}
static void fork(u32 times) {
  page_fault_handler = fork_fault;
  for (u32 child = 1; times; times--) {
    child_table = user_tables[child];
    child_directory = directory(child);
    for (u32 index = 0; index < FORK_PAGES; index++)
      child_table[index] = frame(index) | SHARED_ENTRY;
    forget_table(child_directory, USER_WINDOW);
    switch_directory(child_directory);
    at_ring3(user_child, FORK_WRITES);
    switch_directory(directory(0));
    child = child == DIRECTORIES - 1 ? 1 : child + 1;
  }
}

/* --- syscall: the shortest system call there is --- */
USER_CODE static void user_lean_calls(u32 times) {
  for (; times; times--)
    user_system_call();
}
static void syscall(u32 times) {
  platform_gate(VECTOR_LEAN_CALL, lean_call_stub, 3);
  at_ring3(user_lean_calls, times);
  platform_gate(VECTOR_LEAN_CALL, full_call_stub, 3);
}

/* --- trap: a privileged instruction at ring 3 is refused, and skipped by the handler --- */
USER_CODE static void user_privileged(u32 times) {
  for (; times; times--)
    __asm__ volatile("hlt" : : : "memory");
}
static void trap(u32 times) { at_ring3(user_privileged, times); }

/* --- known, unknown: the directory is switched, and 16 pages are read and written; two directories in turn, or more than are cached --- */
static void switches(u32 times, u32 many) {
  for (u32 index = 0; index < many; index++) {
    for (u32 page = 0; page < SWITCH_PAGES; page++)
      user_tables[index][page] = frame(page) | USER_ENTRY;
    forget_table(directory(index), USER_WINDOW);
  }
  forget_user();
  for (u32 next = 0; times; times--) {
    next = next == many - 1 ? 0 : next + 1;
    switch_directory(directory(next));
    for (u32 page = 0; page < SWITCH_PAGES; page++) {
      volatile u32 *word = (volatile u32 *)user_page(page);
      *word = *word + times;
    }
  }
  switch_directory(directory(0));
}
static void known(u32 times) { switches(times, 2); }
static void unknown(u32 times) { switches(times, DIRECTORIES); }

/* --- iret: half of the frame that an iret takes lies on a page that is not there --- */
void iret_prepare(void) { set_kernel_pte(kernel_page(1), 0); }
static void iret(u32 times) {
  u32 *below = (u32 *)(frame(1) - 12), *above = (u32 *)frame(1);
  page_fault_handler = kernel_fault;
  below[0] = (u32)iret_user;
  below[1] = USER_CODE_SELECTOR;
  below[2] = USER_EFLAGS;
  above[0] = (u32)(user_stack + COUNT_OF(user_stack));
  above[1] = USER_DATA_SELECTOR;
  set_kernel_pte(kernel_page(0), frame(0) | KERNEL_ENTRY);
  iret_loop(times, KERNEL_WINDOW + PAGE_SIZE - 12);
}

static const struct {
  const char *name;
  void (*run)(u32 times);
} scenarios[] = {
    {"pingpong", pingpong}, {"remap", remap},     {"fill", fill}, {"kernel", kernel}, {"cow", cow},
    {"dirty", dirty},       {"ring", ring},       {"fork", fork}, {"iret", iret},     {"syscall", syscall},
    {"trap", trap},         {"known", known},     {"unknown", unknown},
};

void unexpected(void) {
  put_text("unexpected trap\n");
  platform_end();
}

static void tables_init(void) {
  for (u32 lin = 0; lin < RAM_BYTES; lin += PAGE_SIZE) {
    int user = lin >= (u32)user_start && lin < (u32)user_end;
    ram_tables[0][lin / PAGE_SIZE] = lin | (user ? USER_ENTRY : KERNEL_ENTRY);
  }
  for (u32 index = 0; index < DIRECTORIES; index++) {
    u32 flags = PTE_P | PTE_RW | PTE_US | PTE_A;
    for (u32 table = 0; table < COUNT_OF(ram_tables); table++)
      directories[index][table] = (u32)ram_tables[table] | flags;
    directories[index][USER_WINDOW >> 22] = (u32)user_tables[index] | flags;
    directories[index][KERNEL_WINDOW >> 22] = (u32)kernel_table | flags;
  }
}

static void gates_init(void) {
  for (u32 vector = 0; vector < 32; vector++)
    platform_gate(vector, unexpected_stub, 0);
  platform_gate(VECTOR_PF, page_fault_stub, 0);
  platform_gate(VECTOR_GP, protection_stub, 0);
  platform_gate(VECTOR_LEAN_CALL, full_call_stub, 3);
  platform_gate(VECTOR_LEAVE, leave_stub, 3);
  platform_gate(VECTOR_BACK, back_stub, 3);
}

/* @returns the number at `*text`, which is moved past it. */
static u32 number(const char **text) {
  u32 value = 0;
  for (; **text >= '0' && **text <= '9'; ++*text)
    value = value * 10 + (u32)(**text - '0');
  return value;
}

static void run(u32 index, u32 times) {
  char line[16];
  traps = 0;
  put_text("[\n");
  scenarios[index].run(times);
  put_text("]\n");
  format(line, sizeof line, "%08x\n", traps);
  put_text(line);
}

/* @returns whether all of the plan made sense. */
static int run_plan(const char *plan) {
  while (plan && *plan && *plan != ' ') {
    u32 index = 0, length = 0;
    while (plan[length] && plan[length] != ':')
      length++;
    while (index < COUNT_OF(scenarios) &&
           (strlen(scenarios[index].name) != length || strncmp(scenarios[index].name, plan, length)))
      index++;
    if (index == COUNT_OF(scenarios) || !plan[length]) {
      put_text("unknown scenario\n");
      return 0;
    }
    plan += length + 1;
    u32 times = number(&plan), repeats = 1;
    if (*plan == '*') {
      plan++;
      repeats = number(&plan);
    }
    while (repeats--)
      run(index, times);
    if (*plan == ',')
      plan++;
  }
  return 1;
}

void bench_main(const void *info) {
  const char *command = platform_start(info);
  const char *plan = strstr(command, "plan="), *given = strstr(command, "rounds=");
  u32 rounds = 1;
  if (given) {
    given += 7;
    rounds = number(&given);
  }
  tables_init();
  platform_tables_on(directory(0));
  gates_init();
  while (rounds && run_plan(plan ? plan + 5 : NULL))
    rounds--;
  if (!rounds)
    put_text("done\n");
  platform_end();
}
