/*
 * Entry by Multiboot and by PVH into the same main, stubs of interrupts, and the pieces of real-mode code by which further processors
 * start and a reset goes on.
 */
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

        .macro  INTERRUPT name, handler
        .globl  \name
\name: pushal
        call    \handler
        popal
        iret
        .endm
        INTERRUPT message_interrupt, on_message
        INTERRUPT nmi_interrupt, on_nmi
        INTERRUPT apic_timer_interrupt, on_apic_timer

        /* Copied to a page of conventional memory: a start-up message begins here, with CS at that page. */
        .globl  trampoline, trampoline_end
        .code16
trampoline:
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   1f - trampoline
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $0x08, $processor_start
1:      .word   23
        .long   gdt
trampoline_end:

        /* Copied to 0x1000: a reset goes on here, counts itself, and has the firmware start the kernel over. */
        .globl  resume, resume_end
resume: incw    %cs:0x2004
        ljmpw   $0xffff, $0
resume_end:

        .code32
processor_start:
        movl    $0x10, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    %ecx, %ss
        movl    $1, %eax
        cpuid
        shrl    $24, %ebx
        movl    %ebx, %eax
        shll    $12, %eax
        leal    stack_top(%eax), %esp
        pushl   %ebx
        call    processor_main

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
        .skip   8 * 4096
        .section .note.GNU-stack, "", @progbits
