/* Guest 070: processes and the round-robin scheduler.
 *
 * A switch queues three calls in the ring (page directory, thread segments, kernel stack) and makes one trap for all of
 * them. Processes are preempted by the clock; the kernel itself is not.
 */
#include "kernel.h"

#define MAX_PROCESSES 32

static struct process processes[MAX_PROCESSES];
static struct process boot_process = {.name = "boot", .directory = 0};
struct process *current = &boot_process;
u64 total_switches, idle_tsc;
int need_resched;
static u32 last_pid;
static u64 running_since;

/* There is no periodic timer: each expiry asks for the next one. */
static void arm_timer(u64 ns) {
  hcall1(LHCALL_SET_CLOCKEVENT, ns > 0xf0000000u ? 0xf0000000u : (u32)ns);
}

/* Wakes those whose time has come; returns how long until the next one, 0 when nobody waits for a time. */
static u64 wake_sleepers(void) {
  u64 now = now_ns(), nearest = 0;
  for (u32 i = 0; i < MAX_PROCESSES; i++) {
    struct process *process = &processes[i];
    if (process->state != SLEEPING || !process->wake_at)
      continue;
    if (process->wake_at <= now) {
      process->wake_at = 0;
      process->state = RUNNABLE;
    } else if (!nearest || process->wake_at - now < nearest) {
      nearest = process->wake_at - now;
    }
  }
  return nearest;
}

void timer_interrupt(void) {
  wake_sleepers();
  need_resched = 1;
  arm_timer(TICK_NS);
}

void sched_init(void) {
  irq_handle(0, timer_interrupt);
  arm_timer(TICK_NS);
  printk("sched: a tick every %u ms, time-stamp counter at %u kHz\n", TICK_NS / 1000000, tsc_khz);
}

static struct process *pick_next(void) {
  u32 start = current == &boot_process ? 0 : (u32)(current - processes) + 1;
  for (u32 i = 0; i < MAX_PROCESSES; i++) {
    struct process *process = &processes[(start + i) % MAX_PROCESSES];
    if (process->state == RUNNABLE)
      return process;
  }
  return NULL;
}

/* Nobody can run: sleep in the Host until an interrupt changes that. HALT returns with interrupts on. */
static struct process *idle(void) {
  struct process *next;
  u64 start = rdtsc();
  do {
    arm_timer(wake_sleepers());
    if (!(next = pick_next())) {
      hcall0(LHCALL_HALT);
      interrupts_off();
    }
  } while (!next && !(next = pick_next()));
  arm_timer(TICK_NS);
  idle_tsc += rdtsc() - start;
  return next;
}

void schedule(void) {
  u32 flags = interrupts_off();
  need_resched = 0;
  current->cpu_tsc += rdtsc() - running_since;
  struct process *next = pick_next();
  if (!next)
    next = idle();
  running_since = rdtsc();
  if (next != current) {
    struct process *previous = current;
    current = next;
    next->switches++;
    total_switches++;
    hcall_later(LHCALL_NEW_PGTABLE, next->directory, 0, 0);
    hcall_later(LHCALL_LOAD_TLS, to_phys(next->tls), 0, 0);
    hcall_later(LHCALL_SET_STACK, KERNEL_DS, next->stack_top, 1);
    hcall0(LHCALL_FLUSH_ASYNC);
    switch_stacks(&previous->saved_esp, next->saved_esp);
  }
  interrupts_restore(flags);
}

void sleep_on(const void *what) {
  u32 flags = interrupts_off();
  current->waiting_on = what;
  current->state = SLEEPING;
  schedule();
  interrupts_restore(flags);
}

void sleep_until(u64 ns) {
  current->wake_at = ns;
  sleep_on(&current->wake_at);
}

void wake_up(const void *what) {
  for (u32 i = 0; i < MAX_PROCESSES; i++) {
    if (processes[i].state == SLEEPING && processes[i].waiting_on == what) {
      processes[i].waiting_on = NULL;
      processes[i].state = RUNNABLE;
      need_resched = 1;
    }
  }
}

static struct process *process_create(void) {
  for (u32 i = 0; i < MAX_PROCESSES; i++) {
    struct process *process = &processes[i];
    if (process->state != UNUSED)
      continue;
    u32 stack = frame_alloc();
    if (!stack)
      return NULL;
    memset(process, 0, sizeof *process);
    process->directory = directory_create();
    if (!process->directory) {
      frame_free(stack);
      return NULL;
    }
    process->stack_top = (u32)to_virt(stack) + PAGE_SIZE;
    process->pid = ++last_pid;
    return process;
  }
  return NULL;
}

/* Prepares a kernel stack so that the first switch to it returns through trap_return with this frame. */
static void stack_prepare(struct process *process, const struct frame *frame) {
  u32 *top = (u32 *)process->stack_top;
  top -= sizeof *frame / 4;
  memcpy(top, frame, sizeof *frame);
  *--top = (u32)trap_return;
  top -= 4; /* EDI ESI EBX EBP: nothing to restore */
  process->saved_esp = (u32)top;
}

static u16 u16_at(const u8 *bytes) { return bytes[0] | bytes[1] << 8; }
static u32 u32_at(const u8 *bytes) { return u16_at(bytes) | (u32)u16_at(bytes + 2) << 16; }

/* Reads the program headers of the embedded ELF file: the first PT_LOAD is text, the second data and bss. */
static u32 image_regions(struct process *process, const u8 *image) {
  const u8 *header = image + u32_at(image + 28);
  u32 count = u16_at(image + 44);
  for (u32 i = 0, region = REGION_TEXT; i < count && region <= REGION_DATA; i++, header += 32) {
    if (u32_at(header) != 1)
      continue;
    u32 start = u32_at(header + 8);
    process->regions[region++] = (struct region){
        .start = start,
        .end = ROUND_UP(start + u32_at(header + 20), PAGE_SIZE),
        .image = image + u32_at(header + 4),
        .image_bytes = u32_at(header + 16),
        .writable = u32_at(header + 24) >> 1 & 1,
    };
  }
  process->regions[REGION_HEAP] = (struct region){.start = USER_HEAP, .end = USER_HEAP, .writable = 1};
  process->regions[REGION_STACK] =
      (struct region){.start = USER_STACK_TOP - USER_STACK_BYTES, .end = USER_STACK_TOP, .writable = 1};
  return u32_at(image + 24);
}

/* Guest 080: from ring 1 to ring 3. Not one page of the program is mapped yet: its first instruction faults. */
void start_first_process(const u8 *image) {
  struct process *process = process_create();
  struct frame frame = {
      .es = USER_DS,
      .ds = USER_DS,
      .eip = image_regions(process, image),
      .cs = USER_CS,
      .eflags = EFLAGS_FIXED | EFLAGS_IF,
      .esp = USER_STACK_TOP - 16,
      .ss = USER_DS,
  };
  memcpy(process->name, "shell", 6);
  stack_prepare(process, &frame);
  process->state = RUNNABLE;
  printk("starting %s[%u] at %p, ring 3\n", process->name, process->pid, (void *)frame.eip);
  schedule();
  panic("the boot thread came back");
}

int process_fork(struct frame *frame) {
  struct process *child = process_create();
  if (!child)
    return -1;
  memcpy(child->name, current->name, sizeof child->name);
  memcpy(child->regions, current->regions, sizeof child->regions);
  memcpy(child->tls, current->tls, sizeof child->tls);
  child->parent = current;
  child->pages = current->pages;
  directory_copy(current, child);
  struct frame copy = *frame;
  copy.eax = 0;
  stack_prepare(child, &copy);
  child->state = RUNNABLE;
  return child->pid;
}

void process_exit(int status) {
  if (!current->parent)
    panic("%s[%u] exited with status %d", current->name, current->pid, status);
  interrupts_off();
  for (u32 i = 0; i < MAX_PROCESSES; i++)
    if (processes[i].state != UNUSED && processes[i].parent == current)
      processes[i].parent = current->parent;
  hcall1(LHCALL_NEW_PGTABLE, to_phys(kernel_directory));
  directory_destroy(current);
  /* Until the next switch this stack runs on the kernel's own directory. */
  current->status = status;
  current->state = ZOMBIE;
  wake_up(current->parent);
  schedule();
  panic("a zombie ran");
}

/* Waits for any child to end, frees what is left of it, and returns its pid; -1 when there are no children. */
int process_wait(int *status) {
  u32 flags = interrupts_off();
  for (;;) {
    int children = 0;
    for (u32 i = 0; i < MAX_PROCESSES; i++) {
      struct process *child = &processes[i];
      if (child->state == UNUSED || child->parent != current)
        continue;
      children++;
      if (child->state == ZOMBIE) {
        *status = child->status;
        child->state = UNUSED;
        frame_free(to_phys(child->stack_top) - PAGE_SIZE);
        interrupts_restore(flags);
        return child->pid;
      }
    }
    if (!children) {
      *status = -1;
      interrupts_restore(flags);
      return -1;
    }
    sleep_on(current);
  }
}

int process_info(u32 index, struct process_info *info) {
  if (index >= MAX_PROCESSES)
    return -1;
  struct process *process = &processes[index];
  memset(info, 0, sizeof *info);
  if (process->state == UNUSED)
    return 0;
  u64 ticks = process->cpu_tsc + (process == current ? rdtsc() - running_since : 0);
  *info = (struct process_info){
      .pid = process->pid,
      .parent = process->parent ? process->parent->pid : 0,
      .state = process->state,
      .pages = process->pages,
      .faults = process->faults,
      .cow_breaks = process->cow_breaks,
      .syscalls = process->syscalls,
      .switches = process->switches,
      .cpu_ns = tsc_to_ns(ticks),
  };
  memcpy(info->name, process->name, sizeof info->name);
  return process->pid;
}
