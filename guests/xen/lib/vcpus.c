/* A second vCPU: what it begins with, how it is waited for, and its event callback. */
#include "test.h"

#define STACK_BYTES 8192

struct vcpu_guest_context second;
volatile u32 second_upcalls;

static u8 stack[STACK_BYTES] __attribute__((aligned(16)));
static void (*second_main)(void);

void second_upcall(void);

void second_upcall(void) {
  second_upcalls++;
  scan_events_of(second_info);
}

static void second_entry(void) {
  second_main();
  for (;;)
    vcpu_op(VCPUOP_DOWN, 1, NULL);
}

void second_prepare(void (*main)(void)) {
  second_main = main;
  memset(&second, 0, sizeof second);
  u32 top = (u32)stack + STACK_BYTES - 16;
  second.flags = VGCF_IN_KERNEL;
  second.user_regs.eip = (u32)second_entry;
  second.user_regs.esp = top;
  second.user_regs.eflags = EFLAGS_FIXED;
  second.user_regs.cs = KERNEL_CS;
  second.user_regs.ss = second.user_regs.ds = second.user_regs.es = KERNEL_DS;
  for (u32 vector = 0; vector < 64; vector++)
    second.trap_ctxt[vector] = trap_entry(vector, TRAP_INFO_MASK_EVENTS);
  second.kernel_ss = KERNEL_DS;
  second.kernel_sp = top;
  second.event_callback_cs = second.failsafe_callback_cs = KERNEL_CS;
  second.event_callback_eip = (u32)second_event_stub;
  u32 mfn = mfn_of(l3_table());
  second.ctrlreg[3] = mfn << 12 | mfn >> 20;
}

void second_start(void (*main)(void)) {
  second_prepare(main);
  s32 answer = vcpu_op(VCPUOP_INITIALISE, 1, &second);
  if (answer == 0)
    answer = vcpu_op(VCPUOP_UP, 1, NULL);
  if (answer)
    error("a second vCPU is refused with %d", answer);
}

void wait_until(volatile u32 *word, u32 value) {
  while (*word != value)
    sched_op(SCHEDOP_YIELD, NULL);
}

void wait_until_down(void) {
  while (vcpu_op(VCPUOP_IS_UP, 1, NULL))
    sched_op(SCHEDOP_YIELD, NULL);
}
