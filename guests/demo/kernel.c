/* Guest 040: bringing the machine up, in C.
 *
 * A paravirtual kernel programs no chips. What a native kernel does with control registers, lgdt, lidt, an interrupt
 * controller and a timer becomes a handful of calls to the Host and a few words in lguest_data.
 */
#include "kernel.h"

/* Everything the Host reads at LGUEST_INIT must be here before the first instruction runs. */
struct lguest_data lguest_data = {
    .irq_enabled = 0,
    .blocked_interrupts = 0xffffffff,
    .hcall_status = {[0 ... LG_RING_SLOTS - 1] = LG_HCALL_FREE},
    .noirq_start = (u32)noirq_start,
    .noirq_end = (u32)noirq_end,
    .kernel_address = PAGE_OFFSET,
    .syscall_vec = SYSCALL_VECTOR,
};

char command_line[512];
u32 tsc_khz;
static u64 boot_tsc;
static u64 boot_time_ns;

u64 tsc_to_ns(u64 ticks) {
  u32 rest;
  if (!tsc_khz)
    return 0;
  u64 ms = divide(ticks, tsc_khz, &rest);
  return ms * 1000000 + divide((u64)rest * 1000000, tsc_khz, NULL);
}

/* The wall clock that the Host keeps in lguest_data; seconds are read twice to notice a torn update. */
static u64 wall_clock_ns(void) {
  u32 sec, nsec;
  do {
    sec = lguest_data.time_sec;
    barrier();
    nsec = lguest_data.time_nsec;
    barrier();
  } while (sec != lguest_data.time_sec);
  return (u64)sec * 1000000000 + nsec;
}

/* Nanoseconds since boot: by the time-stamp counter where the Host vouches for it, else by its wall clock. */
u64 now_ns(void) {
  return tsc_khz ? tsc_to_ns(rdtsc() - boot_tsc) : wall_clock_ns() - boot_time_ns;
}

void hcall_later(u32 nr, u32 arg1, u32 arg2, u32 arg3) {
  static u32 slot;
  u32 flags = interrupts_off();
  if (lguest_data.hcall_status[slot] != LG_HCALL_FREE) {
    hcall(nr, arg1, arg2, arg3, 0);
  } else {
    volatile struct hcall_args *call = &lguest_data.hcalls[slot];
    call->nr = nr;
    call->arg1 = arg1;
    call->arg2 = arg2;
    call->arg3 = arg3;
    barrier();
    lguest_data.hcall_status[slot] = 0;
    slot = (slot + 1) % LG_RING_SLOTS;
  }
  interrupts_restore(flags);
}

void printk(const char *pattern, ...) {
  char line[256];
  u32 micros, seconds = (u32)divide(divide(now_ns(), 1000, NULL), 1000000, &micros);
  u32 length = format(line, sizeof line, "[%5u.%06u] ", seconds, micros);
  __builtin_va_list arguments;
  __builtin_va_start(arguments, pattern);
  length += vformat(line + length, sizeof line - length, pattern, arguments);
  __builtin_va_end(arguments);
  console_write(line, length, 0);
}

void shut_down(const char *reason, u32 how) {
  for (;;)
    hcall2(LHCALL_SHUTDOWN, to_phys(reason), how);
}

/* Panics do not try to go on: the Host gets the message and may take a picture of the machine. */
void panic(const char *pattern, ...) {
  static char message[128];
  interrupts_off();
  __builtin_va_list arguments;
  __builtin_va_start(arguments, pattern);
  vformat(message, sizeof message, pattern, arguments);
  __builtin_va_end(arguments);
  printk("Kernel panic: %s\n", message);
  shut_down(message, LGUEST_SHUTDOWN_POWEROFF);
}

/* The Host starts us with kernel code and data segments only; ring 3 needs its own pair. */
static void segments_init(void) {
  struct descriptor code = descriptor(0, 0xfffff, 0xfb, 0xc);
  struct descriptor data = descriptor(0, 0xfffff, 0xf3, 0xc);
  hcall3(LHCALL_LOAD_GDT_ENTRY, USER_CS >> 3, code.low, code.high);
  hcall3(LHCALL_LOAD_GDT_ENTRY, USER_DS >> 3, data.low, data.high);
}

static u16 code_segment(void) {
  u16 cs;
  __asm__("movw %%cs, %0" : "=r"(cs));
  return cs;
}

/* boot_params lies at physical 0: the command line's address and the one RAM range are all we want from it. */
static u32 boot_params_read(void) {
  const u8 *params = to_virt(0);
  u32 text = *(const u32 *)(params + BP_CMD_LINE_PTR);
  if (text && text < 0x400000 - sizeof command_line)
    memcpy(command_line, to_virt(text), sizeof command_line - 1);
  return *(const u32 *)(params + BP_E820_TABLE + 8);
}

void kernel_main(void) {
  tsc_khz = lguest_data.tsc_khz;
  boot_tsc = rdtsc();
  boot_time_ns = wall_clock_ns();

  u32 ram_bytes = boot_params_read();
  printk("wasmvisor demo kernel, lguest ABI: kernel_main at %p, CS %02x, so ring %u\n", kernel_main,
         code_segment(), code_segment() & 3);
  printk("command line: \"%s\"\n", command_line);
  segments_init();
  traps_init();
  mm_init(ram_bytes);
  console_init(ram_bytes);
  sched_init();
  /* No FPU for anyone: with TS set, the first x87 instruction traps instead of corrupting a neighbour. */
  hcall1(LHCALL_TS, CR0_TS);
  extern const u8 user_image[];
  start_first_process(user_image);
}
