/* Entry under Xen: ring 1, flat segments, on Xen's first page tables; ESI is the address of struct start_info. */
#include "abi.gen.h"

        .macro  NOTE type, text:vararg
        .long   4, 1f - 0f, \type
        .asciz  "Xen"
0:      \text
1:      .balign 4
        .endm

        .section .note.Xen, "a", @note
        NOTE XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
        NOTE XEN_ELFNOTE_LOADER, .asciz "generic"
        NOTE XEN_ELFNOTE_GUEST_OS, .asciz "wasmvisor-bench"
        NOTE XEN_ELFNOTE_PAE_MODE, .asciz "yes"
        NOTE XEN_ELFNOTE_VIRT_BASE, .long 0
        NOTE XEN_ELFNOTE_PADDR_OFFSET, .long 0
        NOTE XEN_ELFNOTE_ENTRY, .long _start

        .section .text.start, "ax"
        .globl  _start
_start: movl    $boot_stack_top, %esp
        pushl   %esi
        call    bench_main
        ud2
        .section .note.GNU-stack, "", @progbits
