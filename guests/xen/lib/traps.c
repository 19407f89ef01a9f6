/* What a trap does in a microkernel: it is recorded, then recovered from, or reported as unexpected. */
#include "test.h"

#define USER_STACK_BYTES 4096

struct seen fault;
volatile u32 recover_eip;
void (*trap_hook)(struct frame *frame);
volatile u32 failsafe_count;
struct failsafe_frame failsafe_seen;
u32 failsafe_live_ds, failsafe_mask;
void (*failsafe_hook)(struct failsafe_frame *frame);
u32 user_eflags = EFLAGS_FIXED | EFLAGS_IF;

static u32 user_stack[USER_STACK_BYTES / 4] USER_DATA = {0};
static int in_user;

u32 user_enter(u32 eip, u32 esp, u32 eflags);
void user_exit(void);

struct trap_info trap_entry(u32 vector, u32 flags) {
  u32 address = vector == SYSCALL_VECTOR ? (u32)syscall_stub : (u32)trap_stubs + 16 * vector;
  return (struct trap_info){vector, flags, KERNEL_CS, address};
}

void traps_init(void) {
  static struct trap_info table[66];
  u32 count = 0;
  for (u32 vector = 0; vector < 64; vector++) {
    u32 flags = vector == VECTOR_BP || vector == VECTOR_OF ? 3 : 0;
    table[count++] = trap_entry(vector, flags | TRAP_INFO_MASK_EVENTS);
  }
  table[count++] = trap_entry(SYSCALL_VECTOR, 3);
  if (set_trap_table(table))
    error("the trap table is refused");
  hypercall4(HYPERVISOR_SET_CALLBACKS, KERNEL_CS, event_stub, KERNEL_CS, failsafe_stub);
  stack_switch(KERNEL_DS, (u32)trap_stack_top);
  for (u8 *page = user_start; page < user_end; page += PAGE_SIZE)
    set_access(page, USER_FLAGS);
}

void setup(void) {
  shared_info_init();
  traps_init();
}

u32 user_call(u32 (*function)(u32 argument), u32 argument) {
  u32 *esp = user_stack + COUNT_OF(user_stack) - 4;
  *--esp = argument;
  *--esp = (u32)user_exit;
  fault.vector = NO_FAULT;
  in_user = 1;
  return user_enter((u32)function, (u32)esp, user_eflags);
}

static void record(struct frame *frame) {
  u16 cs, ss;
  __asm__("movw %%cs, %0; movw %%ss, %1" : "=r"(cs), "=r"(ss));
  int from_user = (frame->cs & 3) == 3;
  fault = (struct seen){
      .vector = frame->vector,
      .error = frame->error,
      .cr2 = vcpu ? vcpu->cr2 : 0,
      .eip = frame->eip,
      .cs = frame->cs,
      .eflags = frame->eflags,
      .esp = from_user ? frame->esp : (u32)&frame->esp,
      .ss = from_user ? frame->ss : ss,
      .saved_mask = frame->saved_mask,
      .mask = vcpu ? vcpu->upcall_mask : 1,
      .live_eflags = read_eflags(),
      .handler_cs = cs,
      .handler_ss = ss,
      .frame = (u32)&frame->eip,
  };
}

void trap(struct frame *frame) {
  int from_user = (frame->cs & 3) == 3;
  if (frame->vector == EVENT_VECTOR) {
    upcalls++;
    if (upcall_hook)
      upcall_hook(frame);
    else
      scan_events();
    return;
  }
  record(frame);
  if (trap_hook) {
    trap_hook(frame);
  } else if (from_user && in_user) {
    in_user = 0;
    user_leave(frame->vector == SYSCALL_VECTOR ? frame->eax : NO_FAULT);
  } else if (recover_eip) {
    frame->eip = recover_eip;
    recover_eip = 0;
  } else if (frame->vector != SYSCALL_VECTOR) {
    error("unexpected trap %u at %p, error %x, cr2 %p", frame->vector, (void *)frame->eip, frame->error,
          (void *)fault.cr2);
  }
}

void failsafe(struct failsafe_frame *frame) {
  u16 fs;
  __asm__("movw %%fs, %0" : "=r"(fs));
  failsafe_count++;
  failsafe_seen = *frame;
  failsafe_live_ds = fs;
  failsafe_mask = vcpu->upcall_mask;
  if (failsafe_hook) {
    failsafe_hook(frame);
  } else if (in_user) {
    in_user = 0;
    user_leave(NO_FAULT);
  } else if (recover_eip) {
    frame->eip = recover_eip;
    frame->cs = KERNEL_CS;
    recover_eip = 0;
  } else {
    error("unexpected failsafe callback for %x:%p", frame->cs, (void *)frame->eip);
  }
}

void expect_fault(const char *what, u32 vector, u32 wanted) {
  if (fault.vector == NO_FAULT)
    check(0, "%s: no fault, wanted vector %u", what, vector);
  else
    check(fault.vector == vector && fault.error == wanted, "%s: vector %u error %x, wanted vector %u error %x", what,
          fault.vector, fault.error, vector, wanted);
}

void expect_no_fault(const char *what) {
  check(fault.vector == NO_FAULT, "%s: vector %u error %x, wanted none", what, fault.vector, fault.error);
}

void expect_page_fault(const char *what, u32 address, u32 wanted) {
  expect_fault(what, VECTOR_PF, wanted);
  check(fault.cr2 == address, "%s: cr2 %p, wanted %p", what, (void *)fault.cr2, (void *)address);
}

void expect_read_only(const char *what, const volatile void *lin) {
  TRY("lock orl $0, (%0)", : : "r"(lin) : "memory");
  expect_page_fault(what, (u32)lin, PFERR_PRESENT | PFERR_WRITE);
}
