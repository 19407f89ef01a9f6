/* The return of a kernel to itself. */
#include "platform.h"

        .text
        .globl  iret_call_loop
/* void iret_call_loop(u32 times) */
iret_call_loop:
        movl    4(%esp), %ecx
        jmp     2f
1:      pushfl
        pushl   %cs
        pushl   $2f
        iret
2:      decl    %ecx
        jns     1b
        ret
        .section .note.GNU-stack, "", @progbits
