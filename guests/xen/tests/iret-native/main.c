/* The processor's own IRET works from ring 1, to ring 1 and to ring 3, and cannot touch IF and IOPL there. */
#include "test.h"

u32 native_esp;
void ring3(void);
static u32 flags_seen, cs_seen;
static u32 stack[64] USER_DATA = {0};

void USER_CODE ring3(void) { __asm__ volatile("stc; ud2"); }

static void come_back(struct frame *frame) {
  flags_seen = frame->eflags;
  cs_seen = frame->cs;
  trap_hook = NULL;
  __asm__ volatile("movl native_esp, %%esp; jmp native_back" : : : "memory");
}

void test_main(void) {
  setup();
  u32 flags;
  __asm__ volatile("pushl %1; pushl %2; pushl $1f; iret; 1: pushfl; popl %0"
                   : "=r"(flags) : "i"(EFLAGS_FIXED | EFLAGS_IOPL | EFLAGS_CF), "i"(KERNEL_CS) : "memory");
  check_equal("flags in ring 1", flags & (EFLAGS_CF | EFLAGS_IF | EFLAGS_IOPL), EFLAGS_CF | EFLAGS_IF);
  check_equal("the mask, which IRET does not know", vcpu->upcall_mask, 1);
  trap_hook = come_back;
  __asm__ volatile("pushl %%ebp; movl %%esp, native_esp; pushl %0; pushl %1; pushl %2; pushl %3; pushl %4; iret\n"
                   ".globl native_back\nnative_back: popl %%ebp"
                   : : "i"(USER_DS), "i"(stack + COUNT_OF(stack)), "i"(EFLAGS_FIXED | EFLAGS_IOPL), "i"(USER_CS),
                   "i"(ring3)
                   : "eax", "ebx", "ecx", "edx", "esi", "edi", "memory");
  check_equal("CS of ring 3", cs_seen, USER_CS);
  check_equal("flags of ring 3, whose IF is the mask", flags_seen & (EFLAGS_CF | EFLAGS_IF | EFLAGS_IOPL), EFLAGS_CF);
}
