/* Entry of every microkernel, the doors for traps, and the way to ring 3 and back. */
#include "abi.gen.h"

        .section .text.start, "ax"
        .globl  _start
_start: movl    $boot_stack_top, %esp
        xorl    %ebp, %ebp
        call    test_start
        ud2

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

        .balign 16
        .globl  trap_stubs, syscall_stub
trap_stubs:
        .set    n, 0
        .rept   64
        stub    n
        .set    n, n + 1
        .endr

        .balign 16
syscall_stub:
        pushl   $0
        pushl   $0x80
trap_common:
        pushal
        pushl   %ds
        pushl   %es
        movl    $LGUEST_KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        pushl   %esp
        call    trap
        addl    $4, %esp
        popl    %es
        popl    %ds
        popal
        addl    $8, %esp

        /* The flag goes through SS because DS may be the user's; until the iret no interrupt may come. */
        .globl  trap_iret, noirq_start, noirq_iret, noirq_end
trap_iret:
        pushl   %eax
        movl    12(%esp), %eax
        andl    $EFLAGS_IF, %eax
noirq_start:
        movl    %eax, %ss:lguest_data + LG_DATA_IRQ_ENABLED
        popl    %eax
noirq_iret:
        iret
noirq_end:

/* u32 user_enter(u32 eip, u32 esp, u32 eflags): irets to ring 3; comes back when trap() calls user_leave. */
        .globl  user_enter, user_leave
user_enter:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %eax
        movl    24(%esp), %ecx
        movl    28(%esp), %edx
        movl    %esp, user_saved_esp
        pushl   $0x7b
        pushl   %ecx
        pushl   %edx
        pushl   $0x73
        pushl   %eax
        movl    $0x7b, %eax
        movl    %eax, %ds
        movl    %eax, %es
        jmp     trap_iret

/* void user_leave(u32 value): drops the trap stack and returns `value` from user_enter. */
user_leave:
        movl    4(%esp), %eax
        movl    user_saved_esp, %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

/* Where a function called at ring 3 returns to: its result goes back to the kernel. */
        .section .user.text, "ax"
        .globl  user_exit
user_exit:
        int     $0x80

        .bss
        .balign 4096
boot_stack:
        .skip   8192
boot_stack_top:
        .globl  trap_stack, trap_stack_top
        .balign 4096
trap_stack:
        .skip   8192
trap_stack_top:
user_saved_esp:
        .skip   4

        .section .note.GNU-stack, "", @progbits
