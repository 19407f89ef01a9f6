/* The contract between the demonstration kernel and its programs: int 0x80, EAX = number, EBX ECX EDX = arguments. */
#ifndef SYSCALLS_H
#define SYSCALLS_H

#include "types.h"

enum {
  SYS_exit = 1,     /* status */
  SYS_fork = 2,
  SYS_read = 3,     /* buffer, max: waits for console input */
  SYS_write = 4,    /* buffer, length */
  SYS_wait = 7,     /* status pointer; -1 when there is no child */
  SYS_getpid = 20,
  SYS_sleep = 35,   /* milliseconds */
  SYS_sbrk = 45,    /* signed bytes; the old end of the heap */
  SYS_reboot = 88,  /* REBOOT_* */
  SYS_yield = 158,
  SYS_procinfo = 200,   /* index, struct process_info pointer: 0 when the slot is unused */
  SYS_sysinfo = 201,    /* struct system_info pointer */
  SYS_setname = 202,    /* name */
  SYS_cmdline = 203,    /* buffer, size */
  SYS_hypercalls = 204, /* HYPERCALL_*, how many, u64 pointer for the ticks they took */
  SYS_settls = 205,     /* base of the thread segment, reached through GS = 0x33 */
};

enum { REBOOT_POWER_OFF, REBOOT_RESTART, REBOOT_PANIC };

/* Exit status of a process that was ended: this plus the vector. Its own statuses stay below. */
#define STATUS_TRAP 0x40000000

/* What `hypercalls` times: a call finished inside the core, one queued in the ring, one that the Host must see. */
enum { HYPERCALL_DIRECT, HYPERCALL_RING, HYPERCALL_HOST };

struct process_info {
  u32 pid, parent, state, pages, faults, cow_breaks, syscalls, switches;
  u64 cpu_ns;
  char name[16];
};

struct system_info {
  u32 memory_kib, free_kib, kernel_kib, page_offset, reserve_kib;
  u32 tsc_khz, kernel_cs, unix_time;
  u64 uptime_ns, idle_ns, switches;
  u64 interrupts_timer, interrupts_console;
  u32 faults, processes;
};

#endif
