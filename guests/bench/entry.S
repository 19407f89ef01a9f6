/* The doors into the kernel, as lean as each allows, and the way to ring 3 and back; the same on every platform. */
#include "platform.h"

        .text
        .globl  page_fault_stub, protection_stub, lean_call_stub, full_call_stub, leave_stub, unexpected_stub
        .globl  enter_user, saved_esp

/* The scenario's handler gets the address in EAX and may use EAX, ECX and EDX. */
page_fault_stub:
        pushl   %eax
        pushl   %ecx
        pushl   %edx
        READ_FAULT_ADDRESS
        call    *page_fault_handler
        popl    %edx
        popl    %ecx
        popl    %eax
        addl    $4, %esp
        iret

/* The privileged instruction is one byte long: skip it. */
protection_stub:
        addl    $4, %esp
        incl    traps
        incl    (%esp)
lean_call_stub:
        iret

/* What an ordinary kernel does on entry: all registers, its own data segments, a function in C. */
full_call_stub:
        pushal
        pushl   %ds
        pushl   %es
        movl    $KERNEL_STACK_SELECTOR, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        call    *system_call_handler
        popl    %es
        popl    %ds
        popal
        iret

/* void enter_user(u32 eip, u32 esp): comes back when ring 3 leaves. */
enter_user:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %eax
        movl    24(%esp), %ecx
        movl    %esp, saved_esp
        pushl   $USER_DATA_SELECTOR
        pushl   %ecx
        pushl   $USER_EFLAGS
        pushl   $USER_CODE_SELECTOR
        pushl   %eax
        movl    $USER_DATA_SELECTOR, %eax
        movl    %eax, %ds
        movl    %eax, %es
        iret

leave_stub:
        movl    saved_esp, %esp
        movl    $KERNEL_STACK_SELECTOR, %eax
        movl    %eax, %ds
        movl    %eax, %es
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

unexpected_stub:
        movl    $boot_stack_top, %esp
        call    unexpected

        .section .user.text, "ax"
        .globl  user_leave
user_leave:
        int     $VECTOR_LEAVE

        .bss
        .globl  boot_stack_top, trap_stack_top
        .balign 4096
        .skip   8192
boot_stack_top:
        .skip   8192
trap_stack_top:
saved_esp:
        .skip   4

        .section .note.GNU-stack, "", @progbits
