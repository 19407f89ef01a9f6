/*
 * The demonstration kernel: a small Unix-like system for the lguest ABI, in the order one would read it.
 *
 *   start.S    from the Host's first instruction to C       mm.c       frames, page tables, demand paging, fork
 *   kernel.c   bringing the machine up, panic, time         sched.c    processes and the scheduler
 *   traps.S/c  faults, interrupts, system calls             console.c  the virtio console on the device page
 *   user/      the shell and everything else at ring 3
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "lguest.h"
#include "syscalls.h"
#include "text.h"

#define PAGE_OFFSET 0xc0000000u
#define USER_STACK_TOP 0xbffff000u
#define USER_STACK_BYTES 0x100000u
#define USER_HEAP 0x10000000u
#define TICK_NS 10000000u

#define to_phys(pointer) ((u32)(pointer) - PAGE_OFFSET)
#define to_virt(phys) ((void *)((u32)(phys) + PAGE_OFFSET))

/* What traps.S leaves on the stack. esp and ss are there only when the trap came from ring 3. */
struct frame {
  u32 gs, es, ds;
  u32 edi, esi, ebp, esp_unused, ebx, edx, ecx, eax;
  u32 vector, error;
  u32 eip, cs, eflags;
  u32 esp, ss;
};

/* A stretch of a process's address space: how it is filled on demand, and what may be done with it. */
struct region {
  u32 start, end;
  const u8 *image; /* bytes at `start`, NULL for memory that begins as zero */
  u32 image_bytes;
  int writable;
};

enum { REGION_TEXT, REGION_DATA, REGION_HEAP, REGION_STACK, REGIONS };

enum state { UNUSED, RUNNABLE, SLEEPING, ZOMBIE };

struct process {
  u32 pid;
  enum state state;
  char name[16];
  u32 directory;    /* physical address of the page directory */
  u32 stack_top;    /* of the one-page kernel stack that traps from ring 3 arrive on */
  u32 saved_esp;
  const void *waiting_on;
  u64 wake_at;      /* nanoseconds since boot, 0 when no time was named */
  int status;
  struct process *parent;
  struct region regions[REGIONS];
  struct descriptor tls[3];
  u64 cpu_tsc;
  u32 switches, faults, cow_breaks, syscalls, pages;
};

/* kernel.c */
extern char command_line[512];
extern u32 tsc_khz;
void printk(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
void panic(const char *pattern, ...) __attribute__((format(printf, 1, 2), noreturn));
void shut_down(const char *reason, u32 how) __attribute__((noreturn));
u64 now_ns(void);
u64 tsc_to_ns(u64 ticks);

/* The interrupt flag lives in lguest_data; turning it on asks the Host whether something waits. */
static inline u32 interrupts_off(void) {
  u32 before = lguest_data.irq_enabled;
  lguest_data.irq_enabled = 0;
  barrier();
  return before;
}

static inline void interrupts_restore(u32 before) {
  barrier();
  lguest_data.irq_enabled = before;
  barrier();
  if (before & lguest_data.irq_pending)
    hcall0(LHCALL_SEND_INTERRUPTS);
}

/* Calls that may wait go through the ring; they take effect, in order, at the next direct call. */
void hcall_later(u32 nr, u32 arg1, u32 arg2, u32 arg3);

/* traps.c */
void traps_init(void);
void trap(struct frame *frame);
void irq_handle(u32 irq, void (*handler)(void));
extern u64 interrupt_counts[16];

/* traps.S */
extern char trap_stubs[], syscall_stub[], noirq_start[], noirq_end[], trap_return[];
void switch_stacks(u32 *save, u32 load);

/* mm.c */
extern u32 kernel_directory[1024], memory_frames, free_frames;
void mm_init(u32 ram_bytes);
u32 frame_alloc(void);
void frame_free(u32 phys);
u32 directory_create(void);
void directory_destroy(struct process *process);
void directory_copy(struct process *from, struct process *to);
void user_unmap(struct process *process, u32 start, u32 end);
int user_fault(struct process *process, u32 address, u32 error);
int user_readable(struct process *process, u32 address, u32 bytes);
int user_writable(struct process *process, u32 address, u32 bytes);

/* sched.c */
extern struct process *current;
extern u64 total_switches, idle_tsc;
extern int need_resched;
void sched_init(void);
void start_first_process(const u8 *image) __attribute__((noreturn));
void schedule(void);
void sleep_on(const void *what);
void sleep_until(u64 ns);
void wake_up(const void *what);
int process_fork(struct frame *frame);
void process_exit(int status) __attribute__((noreturn));
int process_wait(int *status);
int process_info(u32 index, struct process_info *info);
void timer_interrupt(void);

/* console.c */
void console_init(u32 device_page);
void console_write(const char *text, u32 length, int may_sleep);
u32 console_read(char *buffer, u32 max);
extern const char *console_name;

#endif
