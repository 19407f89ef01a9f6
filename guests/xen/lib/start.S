/* Notes for the domain builder, entry of every microkernel, the doors for traps and events, and the way to ring 3 and back. */
#include "abi.gen.h"

        .macro  note type, value:vararg
        .balign 4
        .long   4, 2f - 1f, \type
        .asciz  "Xen"
1:      \value
2:      .balign 4
        .endm

        .section .note.Xen, "a", @note
        note    XEN_ELFNOTE_GUEST_OS, .asciz "microkernel"
        note    XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
        note    XEN_ELFNOTE_LOADER, .asciz "generic"
        note    XEN_ELFNOTE_VIRT_BASE, .long 0
        note    XEN_ELFNOTE_PADDR_OFFSET, .long 0
        note    XEN_ELFNOTE_ENTRY, .long _start
        note    XEN_ELFNOTE_HYPERCALL_PAGE, .long hypercall_page
        note    XEN_ELFNOTE_PAE_MODE, .asciz "yes"
        note    XEN_ELFNOTE_FEATURES, .asciz "!writable_page_tables|pae_pgdir_above_4gb"

        .section .text.start, "ax"
        .globl  _start, hypercall_page
_start: movl    %eax, start_registers
        movl    %ebx, start_registers + 4
        movl    %ecx, start_registers + 8
        movl    %edx, start_registers + 12
        movl    %esi, start_registers + 16
        movl    %edi, start_registers + 20
        movl    %ebp, start_registers + 24
        movl    %esp, start_registers + 28
        pushfl
        popl    start_registers + 32
        movl    %esi, start_info
        movl    $boot_stack_top, %esp
        xorl    %ebp, %ebp
        call    test_start
        ud2

        .balign 4096
hypercall_page:
        .skip   4096

        .text
.macro stub vector
        .balign 16
        .if     (VECTORS_WITH_ERROR_CODE >> \vector) & (\vector < 32) & 1
        .else
        pushl   $0
        .endif
        pushl   $\vector
        jmp     trap_common
.endm

        .balign 16
        .globl  trap_stubs, syscall_stub, event_stub, failsafe_stub, xen_iret
trap_stubs:
        .set    n, 0
        .rept   64
        stub    n
        .set    n, n + 1
        .endr

        .balign 16
event_stub:
        pushl   $0
        pushl   $0x100
        jmp     trap_common

        .balign 16
syscall_stub:
        pushl   $0
        pushl   $0x80
trap_common:
        pushal
        pushl   %ds
        pushl   %es
        movl    $FLAT_RING1_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        pushl   %esp
        call    trap
        addl    $4, %esp
        popl    %es
        popl    %ds
        popal
        addl    $8, %esp
xen_iret:
        pushl   %eax
        movl    $HYPERVISOR_IRET, %eax
        int     $TRAP_HYPERCALL

/* The event callback of the second vCPU, which has the kernel's flat segments always. */
        .balign 16
        .globl  second_event_stub
second_event_stub:
        pushal
        cld
        call    second_upcall
        popal
        jmp     xen_iret

/* Entered with null data segments; what they were lies below the frame. The handler's are kept on the way out. */
        .balign 16
failsafe_stub:
        pushal
        movl    $FLAT_RING1_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        pushl   %esp
        call    failsafe
        addl    $4, %esp
        popal
        addl    $16, %esp
        jmp     xen_iret

/* u32 user_enter(u32 eip, u32 esp, u32 eflags): irets to ring 3; comes back when trap() calls user_leave. */
        .globl  user_enter, user_leave
user_enter:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %eax
        movl    24(%esp), %ecx
        movl    28(%esp), %edx
        movl    %esp, user_saved_esp
        pushl   user_ss
        pushl   %ecx
        pushl   %edx
        pushl   user_cs
        pushl   %eax
        movl    $FLAT_RING3_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        jmp     xen_iret

/* void user_leave(u32 value): drops the trap stack and returns `value` from user_enter. */
user_leave:
        movl    4(%esp), %eax
        movl    user_saved_esp, %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

/* Where a function called at ring 3 returns to: its result goes back to the kernel. */
        .section .user.text, "ax"
        .globl  user_exit
user_exit:
        int     $0x80

        .data
        .globl  user_cs, user_ss
user_cs:
        .long   FLAT_RING3_CS
user_ss:
        .long   FLAT_RING3_SS

        .bss
        .balign 4096
boot_stack:
        .skip   8192
        .globl  boot_stack_top, start_registers, start_info
boot_stack_top:
        .globl  trap_stack, trap_stack_top
        .balign 4096
trap_stack:
        .skip   8192
trap_stack_top:
user_saved_esp:
        .skip   4
start_registers:
        .skip   36
start_info:
        .skip   4

        .section .note.GNU-stack, "", @progbits
