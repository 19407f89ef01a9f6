/* Guest 020: the doors into the kernel, and the one way out.
 *
 * Each vector has a stub that makes all frames alike (a zero where the processor pushes no error code) and names the
 * vector. The way out copies the interrupt flag of the interrupted code into lguest_data and irets; no interrupt
 * may come between those two, so their addresses are published as the window noirq_start..noirq_end.
 */
#include "abi.gen.h"

#define KERNEL_DS 0x69
#define LGUEST_IRQ_ENABLED lguest_data /* its first word */

        .text
.macro stub vector
        .balign 16
        .if     (VECTORS_WITH_ERROR_CODE >> \vector) & (\vector < 32) & 1
        .else
        pushl   $0
        .endif
        pushl   $\vector
        jmp     trap_common
.endm

        /* 48 stubs 16 bytes apart: the exceptions, then the interrupts. */
        .balign 16
        .globl  trap_stubs
trap_stubs:
        .set    n, 0
        .rept   48
        stub    n
        .set    n, n + 1
        .endr

        .balign 16
        .globl  syscall_stub
syscall_stub:
        pushl   $0
        pushl   $0x80
trap_common:
        pushal
        pushl   %ds
        pushl   %es
        pushl   %gs
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        pushl   %esp
        call    trap
        addl    $4, %esp

        .globl  trap_return
trap_return:
        popl    %gs
        popl    %es
        popl    %ds
        popal
        addl    $8, %esp
        /* eip cs eflags [esp ss] are left. DS may be the user's by now, so the flag goes through SS. */
        pushl   %eax
        movl    12(%esp), %eax
        andl    $EFLAGS_IF, %eax
        .globl  noirq_start, noirq_end
noirq_start:
        movl    %eax, %ss:LGUEST_IRQ_ENABLED
        popl    %eax
        iret
noirq_end:

/* Guest 030: switch_stacks(u32 *save, u32 load): the whole of a context switch that is not the Host's business.
 * The registers that C expects to survive a call are kept on the old stack.
 */
        .globl  switch_stacks
switch_stacks:
        movl    4(%esp), %eax
        movl    8(%esp), %edx
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    %esp, (%eax)
        movl    %edx, %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

        .section .note.GNU-stack, "", @progbits
