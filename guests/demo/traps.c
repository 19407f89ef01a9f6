/* Guest 050: what comes in through the doors: faults, interrupts, system calls.
 *
 * The Host reflects every trap to the gate registered here, having switched to the stack of the last SET_STACK when it
 * came from ring 3. Interrupt gates arrive with lguest_data.irq_enabled cleared; the system call's is a trap gate, which
 * leaves it alone, so system calls run with interrupts on.
 */
#include "kernel.h"

u64 interrupt_counts[16];
static void (*interrupt_handlers[16])(void);

static const char *const trap_names[] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode", "device not available",
    "double fault", "coprocessor segment", "invalid TSS", "segment not present", "stack fault", "general protection",
    "page fault", "reserved", "x87 error", "alignment check", "machine check", "SIMD error",
};

void traps_init(void) {
  for (u32 vector = 0; vector < 48; vector++)
    load_gate(vector, (u32)trap_stubs + 16 * vector, SYSDESC_INT_GATE32, vector == VECTOR_BP ? 3 : 0);
  load_gate(SYSCALL_VECTOR, (u32)syscall_stub, SYSDESC_TRAP_GATE32, 3);
  printk("traps: 49 gates loaded, system calls at int 0x%x\n", SYSCALL_VECTOR);
}

void irq_handle(u32 irq, void (*handler)(void)) {
  interrupt_handlers[irq] = handler;
  lguest_data.blocked_interrupts &= ~(1u << irq);
}

static void interrupt(u32 irq) {
  interrupt_counts[irq]++;
  if (interrupt_handlers[irq])
    interrupt_handlers[irq]();
}

static void kernel_fault(struct frame *frame) {
  panic("%s in the kernel: eip %p error %x cr2 %p", trap_names[frame->vector], (void *)frame->eip, frame->error,
        (void *)lguest_data.cr2);
}

/* A process did something: fill in its page, or end it and let its parent say why. */
static void user_fault_or_exit(struct frame *frame) {
  if (frame->vector == VECTOR_PF && user_fault(current, lguest_data.cr2, frame->error))
    return;
  interrupts_restore(EFLAGS_IF);
  process_exit(STATUS_TRAP | frame->vector);
}

/* Times calls to the Host of one kind; see HYPERCALL_* for what tells them apart. */
static u64 time_hypercalls(u32 kind, u32 count) {
  u64 start = rdtsc();
  for (u32 i = 0; i < count; i++) {
    if (kind == HYPERCALL_DIRECT)
      hcall0(LHCALL_FLUSH_ASYNC);
    else if (kind == HYPERCALL_RING)
      hcall_later(LHCALL_TS, CR0_TS, 0, 0);
    else
      hcall0(LHCALL_SEND_INTERRUPTS);
  }
  hcall0(LHCALL_FLUSH_ASYNC);
  return rdtsc() - start;
}

static void system_info(struct system_info *info) {
  extern u8 kernel_end[];
  u32 faults = 0, processes = 0;
  struct process_info process;
  for (u32 i = 0; process_info(i, &process) >= 0; i++)
    if (process.pid)
      faults += process.faults, processes++;
  *info = (struct system_info){
      .memory_kib = memory_frames * 4,
      .free_kib = free_frames * 4,
      .kernel_kib = (to_phys(kernel_end) - 0x100000) / 1024,
      .page_offset = PAGE_OFFSET,
      .reserve_kib = lguest_data.reserve_mem / 1024,
      .tsc_khz = tsc_khz,
      .kernel_cs = KERNEL_CS,
      .unix_time = lguest_data.time_sec,
      .uptime_ns = now_ns(),
      .idle_ns = tsc_to_ns(idle_tsc),
      .switches = total_switches,
      .interrupts_timer = interrupt_counts[0],
      .faults = faults,
      .processes = processes,
  };
  for (u32 irq = 1; irq < COUNT_OF(interrupt_counts); irq++)
    info->interrupts_console += interrupt_counts[irq];
}

static s32 set_break(s32 bytes) {
  struct region *heap = &current->regions[REGION_HEAP];
  u32 before = heap->end;
  u32 after = before + bytes;
  if (after < heap->start || after > USER_STACK_TOP - 2 * USER_STACK_BYTES)
    return -1;
  heap->end = after;
  if (after < before)
    user_unmap(current, ROUND_UP(after, PAGE_SIZE), ROUND_UP(before, PAGE_SIZE));
  return before;
}

static s32 reboot(u32 how) {
  if (how == REBOOT_PANIC)
    panic("%s[%u] asked for it", current->name, current->pid);
  printk("%s\n", how == REBOOT_RESTART ? "Restarting" : "Power down");
  shut_down(how == REBOOT_RESTART ? "Restarting" : "Power down",
            how == REBOOT_RESTART ? LGUEST_SHUTDOWN_RESTART : LGUEST_SHUTDOWN_POWEROFF);
}

static s32 system_call(struct frame *frame) {
  u32 one = frame->ebx, two = frame->ecx, three = frame->edx;
  current->syscalls++;
  switch (frame->eax) {
  case SYS_exit:
    process_exit(one);
  case SYS_fork:
    return process_fork(frame);
  case SYS_read:
    return user_writable(current, one, two) ? (s32)console_read((char *)one, two) : -1;
  case SYS_write:
    if (!user_readable(current, one, two))
      return -1;
    console_write((char *)one, two, 1);
    return two;
  case SYS_wait: {
    int status, pid = process_wait(&status);
    if (one && user_writable(current, one, sizeof status))
      *(int *)one = status;
    return pid;
  }
  case SYS_getpid:
    return current->pid;
  case SYS_sleep:
    sleep_until(now_ns() + (u64)one * 1000000);
    return 0;
  case SYS_sbrk:
    return set_break(one);
  case SYS_reboot:
    return reboot(one);
  case SYS_yield:
    schedule();
    return 0;
  case SYS_procinfo:
    return user_writable(current, two, sizeof(struct process_info)) ? process_info(one, (void *)two) : -1;
  case SYS_sysinfo:
    if (!user_writable(current, one, sizeof(struct system_info)))
      return -1;
    system_info((void *)one);
    return 0;
  case SYS_setname:
    if (!user_readable(current, one, sizeof current->name))
      return -1;
    memcpy(current->name, (void *)one, sizeof current->name - 1);
    return 0;
  case SYS_cmdline:
    if (two > sizeof command_line || !user_writable(current, one, two))
      return -1;
    memcpy((void *)one, command_line, two);
    return 0;
  case SYS_hypercalls:
    if (!user_writable(current, three, sizeof(u64)))
      return -1;
    *(u64 *)three = time_hypercalls(one, two);
    return 0;
  case SYS_settls:
    current->tls[0] = descriptor(one, 0xfffff, 0xf3, 0xc);
    hcall2(LHCALL_LOAD_TLS, to_phys(current->tls), 0);
    return 0;
  default:
    return -1;
  }
}

void trap(struct frame *frame) {
  int from_user = (frame->cs & 3) == 3;
  if (frame->vector == SYSCALL_VECTOR)
    frame->eax = system_call(frame);
  else if (frame->vector >= LGUEST_IRQ_BASE)
    interrupt(frame->vector - LGUEST_IRQ_BASE);
  else if (from_user)
    user_fault_or_exit(frame);
  else
    kernel_fault(frame);
  if (from_user) {
    interrupts_off();
    if (need_resched)
      schedule();
  }
}
