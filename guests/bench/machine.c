/* The guest that the measured programs run in, and its command line. */
#include "machine.h"

#define RAM_BYTES (16u << 20)

extern u8 user_start[], user_end[];
void page_fault_stub(void), protection_stub(void), leave_stub(void), unexpected_stub(void);

pte_t directories[DIRECTORIES][PAGE_SIZE / sizeof(pte_t)] PAGE_TABLE;
pte_t user_tables[DIRECTORIES][TABLE_ENTRIES] PAGE_TABLE;
static pte_t ram_tables[RAM_BYTES / TABLE_BYTES][TABLE_ENTRIES] PAGE_TABLE;
pte_t kernel_table[TABLE_ENTRIES] PAGE_TABLE;
u8 frames[PAGES][PAGE_SIZE];
u32 user_stack[USER_STACK_WORDS] USER_DATA = {0};

u32 traps;
fault_handler_t page_fault_handler;
void (*system_call_handler)(void);

void at_ring3(void (*function)(u32 times), u32 times) {
  u32 *esp = user_stack + COUNT_OF(user_stack) - 4;
  *--esp = times;
  *--esp = (u32)user_leave;
  enter_user((u32)function, (u32)esp);
}

static HANDLER void fill_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  set_user_pte(page, user_entry(page));
}
static void fill_call(void) {
  take_table(directory(0), USER_WINDOW, user_tables[0], PAGES);
  memset(user_tables[0], 0, sizeof user_tables[0]);
  give_table(directory(0), USER_WINDOW, user_tables[0], PAGES);
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
void fill(u32 times) {
  page_fault_handler = fill_fault;
  system_call_handler = fill_call;
  fill_call();
  at_ring3(user_fill, times);
}

USER_CODE static void user_lean_calls(u32 times) {
  for (; times; times--)
    user_system_call();
}
void syscall(u32 times) {
  platform_gate(VECTOR_LEAN_CALL, lean_call_stub, 3);
  at_ring3(user_lean_calls, times);
  platform_gate(VECTOR_LEAN_CALL, full_call_stub, 3);
}

void unexpected(void) {
  put_text("unexpected trap\n");
  platform_end();
}

static void tables_init(void) {
  for (u32 lin = 0; lin < RAM_BYTES; lin += PAGE_SIZE) {
    int user = lin >= (u32)user_start && lin < (u32)user_end;
    ram_tables[0][lin / PAGE_SIZE] = machine_of(lin) | (user ? USER_ENTRY : KERNEL_ENTRY);
  }
  for (u32 index = 0; index < DIRECTORIES; index++) {
    for (u32 table = 0; table < COUNT_OF(ram_tables); table++)
      link_table(directory(index), table * TABLE_BYTES, ram_tables[table]);
    link_table(directory(index), USER_WINDOW, user_tables[index]);
    link_table(directory(index), KERNEL_WINDOW, kernel_table);
  }
}

static void gates_init(void) {
  for (u32 vector = 0; vector < 32; vector++)
    platform_gate(vector, unexpected_stub, 0);
  platform_gate(VECTOR_PF, page_fault_stub, 0);
  platform_gate(VECTOR_GP, protection_stub, 0);
  platform_gate(VECTOR_LEAN_CALL, full_call_stub, 3);
  platform_gate(VECTOR_LEAVE, leave_stub, 3);
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
    while (scenarios[index].name &&
           (strlen(scenarios[index].name) != length || strncmp(scenarios[index].name, plan, length)))
      index++;
    if (!scenarios[index].name || !plan[length]) {
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
  platform_tables_on(directory(0), ram_tables[0]);
  gates_init();
  while (rounds && run_plan(plan ? plan + 5 : NULL))
    rounds--;
  if (!rounds)
    put_text("done\n");
  platform_end();
}
