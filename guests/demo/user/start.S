/* The first instructions at ring 3, and the system call. */
        .section .text.start, "ax"
        .globl  _start, system_call
_start: xorl    %ebp, %ebp
        call    main
        movl    %eax, %ebx
        movl    $1, %eax
        int     $0x80

/* int system_call(number, one, two, three) */
system_call:
        pushl   %ebx
        movl    8(%esp), %eax
        movl    12(%esp), %ebx
        movl    16(%esp), %ecx
        movl    20(%esp), %edx
        int     $0x80
        popl    %ebx
        ret

        .section .note.GNU-stack, "", @progbits
