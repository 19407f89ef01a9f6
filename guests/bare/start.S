/* Entry by Multiboot and by PVH into the same main, and the stub of the timer's interrupt. */
#include "abi.gen.h"

#define HEADER_FLAGS (MULTIBOOT_FLAG_PAGE_ALIGN | MULTIBOOT_FLAG_MEMORY_INFO)
#define PVH_ENTRY_NOTE 18

        .section .multiboot, "a"
#ifdef WITH_MULTIBOOT
        .balign 4
        .long   MULTIBOOT_HEADER_MAGIC, HEADER_FLAGS, -(MULTIBOOT_HEADER_MAGIC + HEADER_FLAGS)
#endif

        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, PVH_ENTRY_NOTE
        .asciz  "Xen"
        .long   _start

        .text
        .globl  _start, timer_interrupt
_start: movl    $stack_top, %esp
        lgdt    gdt_register
        ljmp    $0x08, $1f
1:      movl    $0x10, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    %ecx, %ss
        pushl   %ebx
        pushl   %eax
        call    bare_main
        cli
        hlt

timer_interrupt:
        pushal
        call    on_timer
        popal
        iret

        .data
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_register:
        .word   . - gdt - 1
        .long   gdt

        .bss
        .balign 16
        .skip   4096
stack_top:
        .section .note.GNU-stack, "", @progbits
