/*
 * There is no virtual-8086 mode: an iret call with VM set ends in the handler of #GP, on the kernel's stack, where the frame was moved
 * with an error code of 0 in the place of EAX: as if the first instruction there had faulted.
 */
#include "test.h"

u32 vm86_esp;
static u32 words[10], at;

static void look(struct frame *frame) {
  at = (u32)&frame->error;
  memcpy(words, &frame->error, sizeof words);
  trap_hook = NULL;
  __asm__ volatile("movl vm86_esp, %%esp; jmp vm86_back" : : : "memory");
}

void test_main(void) {
  setup();
  trap_hook = look;
  __asm__ volatile("pushl %%ebp; movl %%esp, vm86_esp\n"
                   "pushl $0x106; pushl $0x105; pushl $0x104; pushl $0x103\n"
                   "pushl $0x102; pushl $0x8000; pushl $0x20202; pushl $0x101; pushl $0x7c00; pushl $0x55\n"
                   "movl %0, %%eax; int %1\n"
                   ".globl vm86_back\nvm86_back: popl %%ebp"
                   : : "i"(HYPERVISOR_IRET), "i"(TRAP_HYPERCALL) : "eax", "ebx", "ecx", "edx", "esi", "edi", "memory");
  static const u32 wanted[] = {0, 0x7c00, 0x101, 0x20202, 0x8000, 0x102, 0x103, 0x104, 0x105, 0x106};
  check_equal("the handler", fault.vector, VECTOR_GP);
  check_equal("where the frame is", at, (u32)trap_stack_top - 40);
  for (u32 i = 0; i < COUNT_OF(wanted); i++)
    check(words[i] == wanted[i], "word %u of the frame is %x, wanted %x", i, words[i], wanted[i]);
  check_equal("IF in the frame opened no mask for a handler that masks", fault.mask, 1);
}
