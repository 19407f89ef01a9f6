/* Entry from a Multiboot loader, and the descriptor table of a plain machine. */
#include "platform.h"

#define HEADER_FLAGS MULTIBOOT_FLAG_MEMORY_INFO

        .section .multiboot, "a"
        .balign 4
        .long   MULTIBOOT_HEADER_MAGIC, HEADER_FLAGS, -(MULTIBOOT_HEADER_MAGIC + HEADER_FLAGS)

        .section .text.start, "ax"
        .globl  _start, load_task_register
_start: movl    $boot_stack_top, %esp
        lgdt    gdt_register
        ljmp    $KERNEL_CODE_SELECTOR, $1f
1:      movl    $KERNEL_STACK_SELECTOR, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        pushl   $0
        popfl
        pushl   %ebx
        call    bench_main
        cli
        hlt

load_task_register:
        movl    $0x28, %eax
        ltr     %ax
        ret

        .data
        .globl  gdt
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
        .quad   0x00cffb000000ffff
        .quad   0x00cff3000000ffff
        .quad   0
gdt_register:
        .word   . - gdt - 1
        .long   gdt

        .section .note.GNU-stack, "", @progbits
