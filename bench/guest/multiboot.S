/* Entry from a multiboot loader, the descriptor tables, and the way to ring 3 and back. */
#define MAGIC 0x1badb002
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS 0x1b
#define USER_DS 0x23

        .section .multiboot, "a"
        .balign 4
        .long   MAGIC, 0, -MAGIC

        .section .text.start, "ax"
        .globl  _start
_start: movl    $stack_top, %esp
        lgdt    gdt_register
        ljmp    $KERNEL_CS, $1f
1:      movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        pushl   $0
        popfl
        call    multiboot_main
stop:   cli
        hlt
        jmp     stop

        .text
        .globl  load_task_register, unexpected, system_call, enter_ring3
load_task_register:
        movl    $0x28, %eax
        ltr     %ax
        ret

unexpected:
        call    fault
        jmp     stop

/* u32 enter_ring3(u32 eip, u32 esp): comes back when ring 3 makes its system call; returns its EAX. */
enter_ring3:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %eax
        movl    24(%esp), %ecx
        movl    %esp, saved_esp
        pushl   $USER_DS
        pushl   %ecx
        pushl   $0x2
        pushl   $USER_CS
        pushl   %eax
        movl    $USER_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        iret

system_call:
        movl    $KERNEL_DS, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    saved_esp, %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

        .section .user.text, "ax"
        .globl  user_exit
user_exit:
        int     $0x80

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

        .bss
        .globl  trap_stack_top
        .balign 16
        .skip   8192
stack_top:
        .skip   4096
trap_stack_top:
saved_esp:
        .skip   4

        .section .note.GNU-stack, "", @progbits
