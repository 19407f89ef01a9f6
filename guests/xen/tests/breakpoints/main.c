/* Breakpoints of the debug registers and single steps are bounced as #DB, with the cause in DR6. */
#include "test.h"

extern char breakpoint_here[];
static u32 word, dr6, steps;

static void take(struct frame *frame) {
  (void)frame;
  dr6 = hypercall1(HYPERVISOR_GET_DEBUGREG, 6);
  hypercall2(HYPERVISOR_SET_DEBUGREG, 6, 0);
}

/* The next try of the same instruction passes: its return has RF. */
static void pass(struct frame *frame) {
  take(frame);
  frame->eflags |= EFLAGS_RF;
}

static void step(struct frame *frame) {
  take(frame);
  if (++steps == 3)
    frame->eflags &= ~EFLAGS_TF;
}

void test_main(void) {
  setup();
  fault.vector = NO_FAULT;
  trap_hook = take;
  hypercall2(HYPERVISOR_SET_DEBUGREG, 0, (u32)&word);
  check_answer("a breakpoint on writes", hypercall2(HYPERVISOR_SET_DEBUGREG, 7, 0xd0001), 0);
  __asm__ volatile("movl %0, %%eax; movl %%eax, %0; nop" : "+m"(word) : : "eax", "memory");
  check_equal("vector", fault.vector, VECTOR_DB);
  check_equal("DR6 after the write", dr6 & 0xf, 1);
  check_equal("EIP is behind the write", *(u8 *)fault.eip, 0x90);
  hypercall2(HYPERVISOR_SET_DEBUGREG, 0, (u32)breakpoint_here);
  hypercall2(HYPERVISOR_SET_DEBUGREG, 7, 1);
  trap_hook = pass;
  fault.vector = NO_FAULT;
  __asm__ volatile(".globl breakpoint_here\nbreakpoint_here: nop" : : : "memory");
  check_equal("vector", fault.vector, VECTOR_DB);
  check_equal("EIP is at the instruction", fault.eip, (u32)breakpoint_here);
  hypercall2(HYPERVISOR_SET_DEBUGREG, 7, 0);
  trap_hook = step;
  __asm__ volatile("pushfl; orl %0, (%%esp); popfl; nop; nop; nop" : : "i"(EFLAGS_TF) : "memory");
  trap_hook = NULL;
  check_equal("steps", steps, 3);
  check_equal("DR6 says so", dr6 & DR6_BS, DR6_BS);
  check_equal("TF in the handler", fault.live_eflags & EFLAGS_TF, 0);
}
