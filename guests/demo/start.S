/* Guest 010: the first instructions.
 *
 * The Host enters here with ESI = 0 (the address of boot_params), no stack, and "linear mode": every virtual address
 * is the physical one. Three steps lead out of it: introduce ourselves, hand over a page table that maps memory both
 * where it is and at PAGE_OFFSET, and jump up.
 */
#include "abi.gen.h"

#define PAGE_OFFSET 0xC0000000
#define PHYS(symbol) ((symbol) - PAGE_OFFSET)

        .section .text.boot, "ax"
        .globl  boot_entry
boot_entry:
        movl    $LHCALL_LGUEST_INIT, %eax
        movl    $PHYS(lguest_data), %ebx
        int     $LGUEST_TRAP_ENTRY

        /* One table for the first 4 MiB, hung under two slots: 0 (where we are) and 768 (PAGE_OFFSET). */
        movl    $PHYS(boot_table), %edi
        movl    $(PTE_P | PTE_RW), %eax
        movl    $1024, %ecx
1:      stosl
        addl    $0x1000, %eax
        loop    1b
        movl    $(PHYS(boot_table) + 0x63), PHYS(kernel_directory)
        movl    $(PHYS(boot_table) + 0x63), PHYS(kernel_directory) + 768 * 4

        /* From the next instruction on, addresses go through that table; EIP is still low. */
        movl    $LHCALL_NEW_PGTABLE, %eax
        movl    $PHYS(kernel_directory), %ebx
        int     $LGUEST_TRAP_ENTRY

        movl    $boot_stack_top, %esp
        movl    $high, %eax
        jmp     *%eax
high:   xorl    %ebp, %ebp
        call    kernel_main
        ud2

        .section .bss
        .balign 4096
        .globl  kernel_directory, boot_table, boot_stack, boot_stack_top
kernel_directory:
        .skip   4096
boot_table:
        .skip   4096
boot_stack:
        .skip   4096
boot_stack_top:

        /* The user programs travel inside the kernel, like an initramfs with one file in it. */
        .section .user, "aw"
        .balign 4096
        .globl  user_image
user_image:
        .incbin "user.elf"

        .section .note.GNU-stack, "", @progbits
