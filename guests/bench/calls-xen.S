/* The event and failsafe callbacks, and the return by a call. */
#include "platform.h"

        .text
        .globl  event_stub, failsafe_stub, iret_call_loop
/* The mask is opened before the frame is gone: what becomes pending just then nests, one frame deeper. */
event_stub:
        pushl   %eax
        pushl   %ecx
        pushl   %edx
        call    event_upcall
        popl    %edx
        popl    %ecx
        popl    %eax
        movb    $0, shared_info + SI_VCPU_INFO + VI_UPCALL_MASK
        iret

failsafe_stub:
        movl    $boot_stack_top, %esp
        call    unexpected

/* void iret_call_loop(u32 times): IF is clear in the frame, so that events stay masked. */
iret_call_loop:
        movl    4(%esp), %ecx
        jmp     2f
1:      pushl   $EFLAGS_FIXED
        pushl   $KERNEL_CODE_SELECTOR
        pushl   $2f
        pushl   %eax
        movl    $HYPERVISOR_IRET, %eax
        int     $TRAP_HYPERCALL
2:      decl    %ecx
        jns     1b
        ret
        .section .note.GNU-stack, "", @progbits
