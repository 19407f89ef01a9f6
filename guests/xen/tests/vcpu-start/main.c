/* A vCPU begins with the registers of its context; selectors are raised to ring 1, and its events are masked. */
#include "test.h"

static volatile u32 done;
u32 found[12], found_cr[5];
u32 found_dr7;
u16 found_selectors[6];
u8 found_fcw[2];

void begin(void);
void finish(void);

__asm__(".globl begin\n"
        "begin: movl %eax, found\n movl %ebx, found + 4\n movl %ecx, found + 8\n movl %edx, found + 12\n"
        "movl %esi, found + 16\n movl %edi, found + 20\n movl %ebp, found + 24\n movl %esp, found + 28\n"
        "pushfl\n popl found + 32\n"
        "movw %cs, found_selectors\n movw %ss, found_selectors + 2\n movw %ds, found_selectors + 4\n"
        "movw %es, found_selectors + 6\n movw %fs, found_selectors + 8\n movw %gs, found_selectors + 10\n"
        "movl %cr0, %eax\n movl %eax, found_cr\n clts\n fnstcw found_fcw\n"
        "movl %cr2, %eax\n movl %eax, found_cr + 8\n movl %cr3, %eax\n movl %eax, found_cr + 12\n"
        "movl %cr4, %eax\n movl %eax, found_cr + 16\n"
        "movl %dr7, %eax\n movl %eax, found_dr7\n"
        "call finish\n");

void finish(void) {
  done = 1;
  for (;;)
    vcpu_op(VCPUOP_DOWN, 1, NULL);
}

void test_main(void) {
  setup();
  second_prepare(NULL);
  struct cpu_user_regs *regs = &second.user_regs;
  regs->eip = (u32)begin;
  regs->eax = 1, regs->ebx = 2, regs->ecx = 3, regs->edx = 4, regs->esi = 5, regs->edi = 6, regs->ebp = 7;
  regs->eflags = EFLAGS_CF | EFLAGS_DF | EFLAGS_IOPL;
  regs->cs = KERNEL_CS & ~3;
  regs->ss = KERNEL_DS & ~3;
  regs->ds = USER_DS;
  regs->fs = KERNEL_DS;
  second.ctrlreg[0] = CR0_TS;
  second.ctrlreg[2] = 0x12345678;
  second.ctrlreg[4] = CR4_TSD;
  second.debugreg[7] = 0x155;
  second.flags = VGCF_IN_KERNEL | VGCF_I387_VALID;
  second.fpu[0] = 0x7f, second.fpu[1] = 0x0e;
  u32 esp = regs->esp;
  check_answer("initialise", vcpu_op(VCPUOP_INITIALISE, 1, &second), 0);
  memset(&second.user_regs, 0, sizeof second.user_regs);
  check_answer("up", vcpu_op(VCPUOP_UP, 1, NULL), 0);
  check_answer("up again", vcpu_op(VCPUOP_UP, 1, NULL), 0);
  check_answer("is up", vcpu_op(VCPUOP_IS_UP, 1, NULL), 1);
  wait_until(&done, 1);
  for (u32 i = 0; i < 7; i++)
    check_equal("a general register", found[i], (u32[]){1, 2, 3, 4, 5, 6, 7}[i]);
  check_equal("ESP", found[7], esp);
  check_equal("EFLAGS", found[8], EFLAGS_FIXED | EFLAGS_CF | EFLAGS_DF | EFLAGS_IF);
  check_equal("CS", found_selectors[0], KERNEL_CS);
  check_equal("SS", found_selectors[1], KERNEL_DS);
  check_equal("DS", found_selectors[2], USER_DS);
  check_equal("ES", found_selectors[3], KERNEL_DS);
  check_equal("FS", found_selectors[4], KERNEL_DS);
  check_equal("GS", found_selectors[5], 0);
  check_equal("CR0.TS", found_cr[0] & CR0_TS, CR0_TS);
  check_equal("CR2", found_cr[2], 0x12345678);
  check_equal("CR3", found_cr[3], second.ctrlreg[3]);
  check_equal("CR4.TSD", found_cr[4] & CR4_TSD, CR4_TSD);
  check_equal("DR7", found_dr7, 0x555);
  check_equal("the x87's control word", found_fcw[0] | found_fcw[1] << 8, 0xe7f);
  check_equal("its events are masked", second_info->upcall_mask, 1);
}
