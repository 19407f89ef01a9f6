/* Single calls under lguest, and lists of them in the asynchronous ring: each as a loop that does nothing else. */
#include "machine.h"

#define LIST 32

void iret_call_loop(u32 times);
extern u8 trap_stack_top[];

static void queue_call(u32 nr, u32 arg1, u32 arg2, u32 arg3) {
  u32 slot = ring_cursor;
  volatile struct hcall_args *call = &lguest_data.hcalls[slot];
  call->nr = nr;
  call->arg1 = arg1;
  call->arg2 = arg2;
  call->arg3 = arg3;
  barrier();
  lguest_data.hcall_status[slot] = 0;
  ring_cursor = (slot + 1) % LG_RING_SLOTS;
}

/* --- null: the call that only empties the ring --- */
static void null(u32 times) {
  for (; times; times--)
    hcall0(LHCALL_FLUSH_ASYNC);
}

/* --- leave: interrupts that are not there --- */
static void leave(u32 times) {
  for (; times; times--)
    hcall0(LHCALL_SEND_INTERRUPTS);
}

/* --- null32: 32 null calls, of which 31 wait in the ring --- */
static void null32(u32 times) {
  for (; times; times--) {
    for (u32 index = 1; index < LIST; index++)
      queue_call(LHCALL_FLUSH_ASYNC, 0, 0, 0);
    hcall0(LHCALL_FLUSH_ASYNC);
  }
}

/* --- set_pte: one page is mapped to one frame, then to another --- */
static void set_one_pte(u32 times) {
  u32 entry = frame_entry(0, USER_ENTRY), other = frame_entry(1, USER_ENTRY) ^ entry;
  for (; times; times--, entry ^= other)
    set_user_pte(user_page(0), entry);
}

/* --- set_pte32: the same for 32 pages, of which 31 wait in the ring --- */
static void set_pte32(u32 times) {
  for (; times; times--) {
    u32 first = (times & 1) * LIST;
    for (u32 page = 1; page < LIST; page++)
      queue_pte(&user_tables[0][page], directory(0), user_page(page), frame_entry(first + page, USER_ENTRY));
    set_user_pte(user_page(0), frame_entry(first, USER_ENTRY));
  }
}

/* --- switch: directory, three descriptors of the thread's own, the stack and the FPU, in the ring --- */
static void switches(u32 times) {
  static u32 threads[2][LGUEST_TLS_ENTRIES][2];
  for (u32 index = 0; index < 2 * LGUEST_TLS_ENTRIES; index++) {
    u32 *descriptor = threads[index & 1][index >> 1];
    descriptor[0] = (index & 1) << 16 | 0xffff;
    descriptor[1] = 0x00cff300;
  }
  for (; times; times--) {
    queue_call(LHCALL_NEW_PGTABLE, directory(times & 1), 0, 0);
    queue_call(LHCALL_LOAD_TLS, (u32)threads[times & 1], 0, 0);
    queue_call(LHCALL_SET_STACK, KERNEL_STACK_SELECTOR, (u32)trap_stack_top, 2);
    queue_call(LHCALL_TS, 1, 0, 0);
    hcall0(LHCALL_FLUSH_ASYNC);
  }
  hcall1(LHCALL_TS, 0);
  switch_directory(directory(0));
}

/* --- iret: the instruction, from the kernel to itself --- */
static void iret(u32 times) { iret_call_loop(times); }

const struct scenario scenarios[] = {
    {"syscall", syscall},     {"null", null},           {"leave", leave},     {"null32", null32},
    {"set_pte", set_one_pte}, {"set_pte32", set_pte32}, {"switch", switches}, {"fault", fill},
    {"iret", iret},           {NULL, NULL},
};
