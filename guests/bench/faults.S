/* An iret whose frame is not all there, and the way back from where it leads. */
#include "platform.h"

        .text
        .globl  iret_loop, back_stub, iret_user
/*
 * void iret_loop(u32 times, u32 frame): each time an iret takes its frame from `frame`, whose last two words lie on a page that was
 * just unmapped; the handler maps it, the iret is executed again, and ring 3 comes back at once.
 */
iret_loop:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %ebx
        movl    24(%esp), %esi
        movl    %esp, saved_esp
        movl    $USER_DATA_SELECTOR, %eax
        movl    %eax, %ds
        movl    %eax, %es
        jmp     2f
1:      call    iret_prepare
        movl    %esi, %esp
        iret
back_stub:
        movl    saved_esp, %esp
2:      decl    %ebx
        jns     1b
        movl    $KERNEL_STACK_SELECTOR, %eax
        movl    %eax, %ds
        movl    %eax, %es
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

        .section .user.text, "ax"
iret_user:
        int     $VECTOR_BACK
        .section .note.GNU-stack, "", @progbits
