/*
 * The round trips that are measured: page faults, system calls, traps and address-space switches, each as a loop that does nothing else.
 */
#include "machine.h"

#define SWITCH_PAGES 16
#define FORK_PAGES 16
#define FORK_WRITES 4
#define QUEUED 32

void iret_loop(u32 times, u32 frame);
void iret_user(void), back_stub(void);
void iret_prepare(void);

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
  set_user_pte(page, user_entry(page));
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
  set_user_pte(page, user_entry(page));
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

/* --- kernel: the kernel itself touches an address that is mapped on demand --- */
static HANDLER void kernel_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  set_kernel_pte(page, machine_of(kernel_frame(page)) + KERNEL_ENTRY);
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
  set_user_pte(page, user_entry(page));
  set_user_pte(page ^ PAGE_SIZE, frame_entry(2, SHARED_ENTRY));
}
static void cow(u32 times) {
  page_fault_handler = cow_fault;
  set_user_pte(user_page(0), frame_entry(2, SHARED_ENTRY));
  set_user_pte(user_page(1), frame_entry(2, SHARED_ENTRY));
  at_ring3(user_alternate, times);
}

/* --- dirty: a page never used is read, then written: accessed and dirty bits are set one after the other --- */
static void dirty(u32 times) {
  for (; times; times--) {
    set_kernel_pte(kernel_page(0), frame_entry(0, PTE_P | PTE_RW));
    u32 value = *(volatile u32 *)KERNEL_WINDOW;
    *(volatile u32 *)KERNEL_WINDOW = value + 1;
  }
}

/* --- ring: at every fault, many changes of other entries are queued; the handler's first call has to do them all --- */
static void queue_changes(void) {
  for (u32 page = user_page(2); page < user_page(2 + QUEUED); page += PAGE_SIZE)
    queue_pte(entry_in(user_tables[0], USER_WINDOW, page), directory(0), page, user_entry(page));
}
static HANDLER void ring_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  traps++;
  finish_queue();
  set_user_pte(page, user_entry(page));
  set_user_pte(page ^ PAGE_SIZE, 0);
  queue_changes();
}
static void ring(u32 times) {
  page_fault_handler = ring_fault;
  finish_queue();
  set_user_pte(user_page(0), 0);
  queue_changes();
  at_ring3(user_alternate, times);
}

/* --- fork: a new table full of shared pages replaces an old one; the child writes some of them --- */
static pte_t *child_table;
static u32 child_directory;
static HANDLER void fork_fault(u32 lin) {
  u32 page = lin & PAGE_MASK;
  u32 own = user_frame(page) + FORK_PAGES * PAGE_SIZE;
  traps++;
  copy_page(own, user_frame(page));
  set_pte(entry_in(child_table, USER_WINDOW, page), child_directory, page, machine_of(own) + USER_ENTRY);
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
    take_table(child_directory, USER_WINDOW, child_table, FORK_PAGES);
    for (u32 index = 0; index < FORK_PAGES; index++)
      child_table[index] = frame_entry(index, SHARED_ENTRY);
    give_table(child_directory, USER_WINDOW, child_table, FORK_PAGES);
    forget_table(child_directory, USER_WINDOW);
    switch_directory(child_directory);
    at_ring3(user_child, FORK_WRITES);
    switch_directory(directory(0));
    child = child == DIRECTORIES - 1 ? 1 : child + 1;
  }
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
    take_table(directory(index), USER_WINDOW, user_tables[index], SWITCH_PAGES);
    for (u32 page = 0; page < SWITCH_PAGES; page++)
      user_tables[index][page] = frame_entry(page, USER_ENTRY);
    give_table(directory(index), USER_WINDOW, user_tables[index], SWITCH_PAGES);
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
  platform_gate(VECTOR_BACK, back_stub, 3);
  below[0] = (u32)iret_user;
  below[1] = USER_CODE_SELECTOR;
  below[2] = USER_EFLAGS;
  above[0] = (u32)(user_stack + COUNT_OF(user_stack));
  above[1] = USER_DATA_SELECTOR;
  set_kernel_pte(kernel_page(0), frame_entry(0, KERNEL_ENTRY));
  iret_loop(times, KERNEL_WINDOW + PAGE_SIZE - 12);
}

const struct scenario scenarios[] = {
    {"pingpong", pingpong}, {"remap", remap},     {"fill", fill}, {"kernel", kernel}, {"cow", cow},
    {"dirty", dirty},       {"ring", ring},       {"fork", fork}, {"iret", iret},     {"syscall", syscall},
    {"trap", trap},         {"known", known},     {"unknown", unknown},
    {NULL, NULL},
};
