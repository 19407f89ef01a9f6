/* What a trap does in a microkernel: it is recorded, then recovered from, counted, or reported as unexpected. */
#include "test.h"

#define USER_STACK_BYTES 4096

struct seen fault;
volatile u32 recover_eip;
volatile u32 irq_counts[32], irq_order[64], irq_total;
u32 irq_eip[32];
void (*trap_hook)(struct frame *frame);
void (*nmi_hook)(struct frame *frame);
u32 user_eflags = EFLAGS_FIXED | EFLAGS_IF;

static u32 user_stack[USER_STACK_BYTES / 4] USER_DATA = {0};
static int in_user;

u32 user_enter(u32 eip, u32 esp, u32 eflags);
void user_leave(u32 value) __attribute__((noreturn));
void user_exit(void);

u32 user_call(u32 (*function)(u32 argument), u32 argument) {
  u32 *esp = user_stack + COUNT_OF(user_stack) - 4;
  *--esp = argument;
  *--esp = (u32)user_exit;
  fault.vector = NO_FAULT;
  in_user = 1;
  return user_enter((u32)function, (u32)esp, user_eflags);
}

static void record(struct frame *frame, u32 irq_enabled) {
  u16 cs, ss;
  __asm__("movw %%cs, %0; movw %%ss, %1" : "=r"(cs), "=r"(ss));
  fault = (struct seen){
      .vector = frame->vector,
      .error = frame->error,
      .cr2 = lguest_data.cr2,
      .eip = frame->eip,
      .cs = frame->cs,
      .eflags = frame->eflags,
      .esp = (frame->cs & 3) == 3 ? frame->esp : (u32)&frame->esp,
      .ss = (frame->cs & 3) == 3 ? frame->ss : ss,
      .irq_enabled = irq_enabled,
      .live_eflags = read_eflags(),
      .handler_cs = cs,
      .handler_ss = ss,
      .frame = (u32)frame,
  };
}

static void interrupt(struct frame *frame, u32 irq) {
  irq_counts[irq]++;
  irq_eip[irq] = frame->eip;
  if (irq_total < COUNT_OF(irq_order))
    irq_order[irq_total] = irq;
  irq_total++;
}

void trap(struct frame *frame) {
  u32 irq_enabled = lguest_data.irq_enabled;
  int from_user = (frame->cs & 3) == 3;
  if (frame->vector >= LGUEST_IRQ_BASE && frame->vector < LGUEST_IRQ_BASE + LGUEST_IRQS) {
    interrupt(frame, frame->vector - LGUEST_IRQ_BASE);
    return;
  }
  if (frame->vector == VECTOR_NMI && nmi_hook) {
    nmi_hook(frame);
    return;
  }
  record(frame, irq_enabled);
  if (trap_hook) {
    trap_hook(frame);
  } else if (from_user && in_user) {
    in_user = 0;
    interrupts_off();
    user_leave(frame->vector == SYSCALL_VECTOR ? frame->eax : NO_FAULT);
  } else if (recover_eip) {
    frame->eip = recover_eip;
    recover_eip = 0;
  } else if (frame->vector != SYSCALL_VECTOR) {
    error("unexpected trap %u at %p, error %x, cr2 %p", frame->vector, (void *)frame->eip, frame->error,
          (void *)fault.cr2);
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
