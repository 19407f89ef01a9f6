/* Entry under lguest: ring 1, flat segments, linear mode. */
        .section .text.start, "ax"
        .globl  _start
_start: movl    $boot_stack_top, %esp
        pushl   $0
        call    bench_main
        ud2
        .section .note.GNU-stack, "", @progbits
