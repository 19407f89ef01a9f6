/* Guest 110: what there is to see. Every figure is taken here, at ring 3, with rdtsc: in virtual time a tick is a fixed
 * share of a retired instruction and the figures repeat exactly; in real time they are this machine's.
 */
#include "user.h"

#define PAGE 4096u

static u32 argument(int count, char **words, u32 otherwise, u32 max) {
  u32 value = count > 1 ? parse_number(words[1], otherwise) : otherwise;
  return value < 1 ? 1 : value > max ? max : value;
}

static int help(int count, char **words) {
  (void)count, (void)words;
  for (u32 i = 0; i < command_count; i++)
    print("  %-11s %-6s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
  return 0;
}

static int echo(int count, char **words) {
  for (int i = 1; i < count; i++)
    print(i > 1 ? " %s" : "%s", words[i]);
  print("\n");
  return 0;
}

/* The first write to each fresh page: trap, reflect to ring 1, find a frame, clear it, SET_PTE, iret. */
static int faults(int count, char **words) {
  u32 pages = argument(count, words, 1024, 65536);
  volatile u8 *memory = sbrk(pages * PAGE);
  if (memory == (void *)-1)
    return 1;
  u64 start = rdtsc();
  for (u32 i = 0; i < pages; i++)
    memory[i * PAGE] = 1;
  u64 first = rdtsc() - start;
  start = rdtsc();
  for (u32 i = 0; i < pages; i++)
    memory[i * PAGE] = 2;
  u64 second = rdtsc() - start;
  print_cost("demand faults", first, pages);
  print_cost("touches once mapped", second, pages);
  sbrk(-(s32)(pages * PAGE));
  return 0;
}

/* The same pages in two processes after fork, until one of them writes. */
static int cow(int count, char **words) {
  u32 pages = argument(count, words, 256, 16384);
  volatile u8 *memory = sbrk(pages * PAGE);
  if (memory == (void *)-1)
    return 1;
  for (u32 i = 0; i < pages; i++)
    memory[i * PAGE] = 1;
  u64 start = rdtsc();
  int child = fork();
  if (child == 0) {
    u64 begin = rdtsc();
    for (u32 i = 0; i < pages; i++)
      memory[i * PAGE] = 2;
    print_cost("copies on first write", rdtsc() - begin, pages);
    exit(0);
  }
  u64 forked = rdtsc() - start;
  wait(NULL);
  u32 kept = 0;
  for (u32 i = 0; i < pages; i++)
    kept += memory[i * PAGE] == 1;
  print_cost("fork sharing those pages", forked, 1);
  print("  the parent still sees its own %u of %u pages\n", kept, pages);
  return kept != pages;
}

static int hypercalls(int count, char **words) {
  static const char *const names[] = {"traps finished in the core", "calls through the ring", "traps seen by the Host"};
  u32 calls = argument(count, words, 10000, 10000000);
  for (u32 kind = HYPERCALL_DIRECT; kind <= HYPERCALL_HOST; kind++) {
    u64 ticks = 0;
    system_call(SYS_hypercalls, kind, calls, (u32)&ticks);
    print_cost(names[kind], ticks, calls);
  }
  return 0;
}

/* Two processes, each with a directory of its own, hand the processor to each other. */
static int switches(int count, char **words) {
  u32 rounds = argument(count, words, 2000, 10000000);
  struct system_info before, after;
  int child = fork();
  if (child == 0) {
    for (u32 i = 0; i < rounds; i++)
      yield();
    exit(0);
  }
  system_call(SYS_sysinfo, (u32)&before, 0, 0);
  u64 start = rdtsc();
  for (u32 i = 0; i < rounds; i++)
    yield();
  u64 ticks = rdtsc() - start;
  system_call(SYS_sysinfo, (u32)&after, 0, 0);
  wait(NULL);
  print_cost("address-space switches", ticks, (u32)(after.switches - before.switches));
  return 0;
}

static int syscalls(int count, char **words) {
  u32 calls = argument(count, words, 10000, 100000000);
  u64 start = rdtsc();
  for (u32 i = 0; i < calls; i++)
    getpid();
  print_cost("system calls (getpid)", rdtsc() - start, calls);
  return 0;
}

static int ps(int count, char **words) {
  static const char *const states[] = {"", "run", "sleep", "zombie"};
  struct process_info info;
  (void)count, (void)words;
  print("  pid parent state   pages faults copies  calls switches   cpu us  name\n");
  for (u32 i = 0; system_call(SYS_procinfo, i, (u32)&info, 0) >= 0; i++)
    if (info.pid)
      print("  %3u %6u %-6s %6u %6u %6u %6u %8u %8llu  %s\n", info.pid, info.parent, states[info.state], info.pages,
            info.faults, info.cow_breaks, info.syscalls, info.switches, divide(info.cpu_ns, 1000, NULL), info.name);
  return 0;
}

static int mem(int count, char **words) {
  struct system_info info;
  (void)count, (void)words;
  system_call(SYS_sysinfo, (u32)&info, 0, 0);
  print("  memory  %'8u KiB mapped at %p, the kernel itself %u KiB\n", info.memory_kib, (void *)info.page_offset,
        info.kernel_kib);
  print("  free    %'8u KiB\n", info.free_kib);
  print("  used    %'8u KiB by %u processes, their tables and the kernel\n", info.memory_kib - info.free_kib,
        info.processes);
  return 0;
}

/* Counts until the time is up and reports through its exit status; never gives the processor away by itself. */
static void hog(u64 until_ns) {
  u32 counted = 0;
  while (ticks_to_ns(rdtsc()) < until_ns)
    counted++;
  exit(counted & (STATUS_TRAP - 1));
}

static int preempt(int count, char **words) {
  u32 ms = argument(count, words, 200, 60000);
  struct system_info before, after;
  int pids[2], counted[2] = {0, 0}, status;
  system_call(SYS_sysinfo, (u32)&before, 0, 0);
  u64 until = ticks_to_ns(rdtsc()) + (u64)ms * 1000000;
  for (int i = 0; i < 2; i++) {
    pids[i] = fork();
    if (pids[i] == 0) {
      set_name(i ? "hog-b" : "hog-a");
      hog(until);
    }
  }
  for (int i = 0; i < 2; i++) {
    int pid = wait(&status);
    counted[pid == pids[1]] = status;
  }
  system_call(SYS_sysinfo, (u32)&after, 0, 0);
  u32 total = counted[0] + counted[1], share = total ? (u32)divide((u64)counted[0] * 1000, total, NULL) : 0;
  print("  two processes that never yield, %u ms: %'u and %'u rounds (%u.%u%% / %u.%u%%)\n", ms, counted[0], counted[1],
        share / 10, share % 10, (1000 - share) / 10, (1000 - share) % 10);
  print("  %llu timer interrupts, %llu switches\n", after.interrupts_timer - before.interrupts_timer,
        after.switches - before.switches);
  return 0;
}

static int primes(int count, char **words) {
  u32 limit = argument(count, words, 20000, 10000000), found = 0, last = 0;
  u64 start = rdtsc();
  for (u32 n = 2; n <= limit; n++) {
    u32 divisor = 2;
    while (divisor * divisor <= n && n % divisor)
      divisor++;
    if (divisor * divisor > n)
      found++, last = n;
  }
  u64 ticks = rdtsc() - start;
  print("  %'u primes up to %'u, the last %'u: %'llu ticks, %'llu us\n", found, limit, last, ticks,
        divide(ticks_to_ns(ticks), 1000, NULL));
  return 0;
}

static int sieve(int count, char **words) {
  u32 limit = argument(count, words, 1000000, 30000000), found = 0;
  u8 *crossed = sbrk(limit + 1);
  if (crossed == (void *)-1)
    return 1;
  u64 start = rdtsc();
  for (u32 n = 2; n <= limit; n++) {
    if (crossed[n])
      continue;
    found++;
    for (u32 multiple = n * 2; multiple <= limit; multiple += n)
      crossed[multiple] = 1;
  }
  u64 ticks = rdtsc() - start;
  print("  %'u primes up to %'u by sieve: %'llu ticks, %'llu us\n", found, limit, ticks,
        divide(ticks_to_ns(ticks), 1000, NULL));
  return 0;
}

static int uptime(int count, char **words) {
  struct system_info info;
  u32 rest;
  (void)count, (void)words;
  system_call(SYS_sysinfo, (u32)&info, 0, 0);
  u64 seconds = divide(info.uptime_ns, 1000000000, &rest);
  print("  up %llu.%06u s, idle %'llu us, %llu switches, %llu timer and %llu device interrupts\n", seconds, rest / 1000,
        divide(info.idle_ns, 1000, NULL), info.switches, info.interrupts_timer, info.interrupts_console);
  return 0;
}

static int date(int count, char **words) {
  static const u8 days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  struct system_info info;
  (void)count, (void)words;
  system_call(SYS_sysinfo, (u32)&info, 0, 0);
  u32 day = info.unix_time / 86400, second = info.unix_time % 86400, year = 1970, month = 0;
  for (;; year++) {
    u32 days = year % 4 ? 365 : 366;
    if (day < days)
      break;
    day -= days;
  }
  for (;; month++) {
    u32 days = days_of[month] + (month == 1 && year % 4 == 0);
    if (day < days)
      break;
    day -= days;
  }
  print("  %u-%02u-%02u %02u:%02u:%02u UTC\n", year, month + 1, day + 1, second / 3600, second / 60 % 60, second % 60);
  return 0;
}

/* What a process may not do: each attempt is made by a child, and the kernel ends it. */
static void trespass(int which) {
  extern u8 _start[];
  struct system_info info;
  switch (which) {
  case 0:
    system_call(SYS_sysinfo, (u32)&info, 0, 0);
    *(volatile u32 *)(info.page_offset + 0x100000) = 0;
    break;
  case 1:
    *(volatile u32 *)0 = 0;
    break;
  case 2:
    *(volatile u8 *)_start = 0x90;
    break;
  case 3:
    __asm__ volatile("cli");
    break;
  case 4:
    __asm__ volatile("inb $0x64, %%al" ::: "eax");
    break;
  case 5:
    __asm__ volatile("int $0x1f" : : "a"(2), "b"(0), "c"(1));
    break;
  case 6:
    __asm__ volatile("movw %w0, %%ds" : : "r"(0x69));
  }
}

static int rings(int count, char **words) {
  static const char *const attempts[] = {
      "writing to the kernel",      "writing to address 0",   "writing to its own code",  "cli",
      "reading an I/O port",        "a hypercall from ring 3", "loading the kernel's data segment",
  };
  struct system_info info;
  u16 cs;
  int status, ended = 0;
  (void)count, (void)words;
  system_call(SYS_sysinfo, (u32)&info, 0, 0);
  __asm__("movw %%cs, %0" : "=r"(cs));
  print("  the kernel runs with CS %02x at ring %u, this process with CS %02x at ring %u\n", info.kernel_cs,
        info.kernel_cs & 3, cs, cs & 3);
  for (u32 i = 0; i < COUNT_OF(attempts); i++) {
    int child = fork();
    if (child == 0) {
      trespass(i);
      exit(0);
    }
    wait(&status);
    const char *reason = trap_name(status);
    print("  %-34s %s%s\n", attempts[i], reason ? "refused: " : "WORKED", reason ? reason : "");
    ended += reason != NULL;
  }
  return ended != COUNT_OF(attempts);
}

/* Thread-local storage: one LOAD_TLS entry per process, reached through GS. */
static int tls(int count, char **words) {
  u32 block[2] = {0x12345678, 0}, seen;
  (void)count, (void)words;
  system_call(SYS_settls, (u32)block, 0, 0);
  __asm__ volatile("movw %w1, %%gs; movl %%gs:0, %0" : "=r"(seen) : "r"(0x33));
  yield();
  __asm__ volatile("movl %0, %%gs:4" : : "r"(getpid()) : "memory");
  print("  read %x through %%gs, wrote pid %u through it\n", seen, *(volatile u32 *)&block[1]);
  return seen != block[0];
}

static int sleep_command(int count, char **words) {
  u32 ms = argument(count, words, 1000, 3600000);
  u64 start = rdtsc();
  sleep_ms(ms);
  print("  slept %'llu us\n", divide(ticks_to_ns(rdtsc() - start), 1000, NULL));
  return 0;
}

static int power_off(int count, char **words) {
  (void)count, (void)words;
  reboot(REBOOT_POWER_OFF);
  return 0;
}

static int restart(int count, char **words) {
  (void)count, (void)words;
  reboot(REBOOT_RESTART);
  return 0;
}

static int panic(int count, char **words) {
  (void)count, (void)words;
  reboot(REBOOT_PANIC);
  return 0;
}

static int tour(int count, char **words) {
  static const struct {
    const char *title, *line;
  } stops[] = {
      {"The kernel lives at ring 1, programs at ring 3", "rings"},
      {"Memory is filled on demand: each page's first touch faults into the kernel", "faults 1024"},
      {"fork shares everything until someone writes", "cow 256"},
      {"System calls go straight to ring 1", "syscalls 10000"},
      {"The kernel calls the Host by trap, or by a ring that one trap drains", "hypercalls 10000"},
      {"Every process has page tables of its own", "switch 2000"},
      {"The clock takes the processor away from whoever keeps it", "preempt 100"},
      {"Plain computing", "sieve 1000000"},
      {"Who is here", "ps"},
      {"And what it took", "uptime"},
  };
  char line[64];
  (void)count, (void)words;
  print("\nTicks are the time-stamp counter's: one per instruction in virtual time, this machine's nanoseconds in real time.\n");
  for (u32 i = 0; i < COUNT_OF(stops); i++) {
    print("\n%u. %s: %s\n", i + 1, stops[i].title, stops[i].line);
    format(line, sizeof line, "%s", stops[i].line);
    run_line(line);
  }
  print("\n");
  return 0;
}

const struct command commands[] = {
    {"help", "", "this list", help, 1},
    {"tour", "", "the sights, one after the other", tour, 1},
    {"rings", "", "what a process may not do, tried", rings, 0},
    {"faults", "[n]", "time n demand-paging faults", faults, 0},
    {"cow", "[n]", "time n copies on write after a fork", cow, 0},
    {"syscalls", "[n]", "time n system calls", syscalls, 0},
    {"hypercalls", "[n]", "time n hypercalls of three kinds", hypercalls, 0},
    {"switch", "[n]", "time n rounds of switching between two address spaces", switches, 0},
    {"preempt", "[ms]", "two processes that never yield share the processor", preempt, 0},
    {"primes", "[n]", "primes up to n by trial division", primes, 0},
    {"sieve", "[n]", "primes up to n by sieve, in demand-paged memory", sieve, 0},
    {"tls", "", "a thread segment of its own, through %gs", tls, 0},
    {"sleep", "[ms]", "sleep", sleep_command, 0},
    {"ps", "", "processes and what they did", ps, 0},
    {"mem", "", "memory", mem, 0},
    {"uptime", "", "time since boot, switches, interrupts", uptime, 0},
    {"date", "", "the wall clock", date, 0},
    {"echo", "...", "say it", echo, 0},
    {"panic", "", "make the kernel panic", panic, 0},
    {"reboot", "", "restart the machine", restart, 0},
    {"poweroff", "", "switch the machine off", power_off, 0},
    {"halt", "", "the same", power_off, 0},
};
const u32 command_count = COUNT_OF(commands);
