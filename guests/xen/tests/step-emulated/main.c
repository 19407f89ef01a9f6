/* Single steps end behind instructions that are carried out for the guest, too; a call and the instruction behind it are one step. */
#include "test.h"

static u32 eips[8], steps;

static void step(struct frame *frame) {
  eips[steps & 7] = frame->eip;
  if (++steps == 4)
    frame->eflags &= ~EFLAGS_TF;
}

extern char step_1[], step_2[], step_3[], step_4[];

void test_main(void) {
  setup();
  trap_hook = step;
  __asm__ volatile("movl %0, %%eax; pushfl; orl %1, (%%esp); popfl\n"
                   ".globl step_1, step_2, step_3, step_4\n"
                   "nop\n step_1: clts\n step_2: movl %%cr0, %%ecx\n step_3: int %2\n nop\n step_4: nop"
                   : : "i"(HYPERVISOR_XEN_VERSION), "i"(EFLAGS_TF), "i"(TRAP_HYPERCALL), "b"(XENVER_VERSION)
                   : "eax", "ecx", "memory");
  trap_hook = NULL;
  check_equal("steps", steps, 4);
  char *wanted[] = {step_1, step_2, step_3, step_4};
  for (u32 i = 0; i < COUNT_OF(wanted); i++)
    check(eips[i] == (u32)wanted[i], "step %u is at %x, wanted %p", i + 1, eips[i], (void *)wanted[i]);
}
