/* A stack may end right below the code that names it: SET_STACK looks whether the page is writable and writes nothing. */
#include "test.h"

void name_stack(void);
__asm__(".text\n"
        ".balign 4096\n"
        ".skip 32\n"
        ".globl name_stack\n"
        "name_stack:\n\t"
        "pushl %ebx\n\t"
        "movl $7, %eax\n\t"
        "movl $0x69, %ebx\n\t"
        "movl $name_stack, %ecx\n\t"
        "movl $1, %edx\n\t"
        "int $0x1f\n\t"
        "popl %ebx\n\t"
        "ret\n");

void test_main(void) {
  setup();
  __asm__ volatile("call name_stack" : : : "eax", "ecx", "edx", "memory");
}
