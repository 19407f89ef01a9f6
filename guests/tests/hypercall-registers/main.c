/* A hypercall leaves every register but EAX alone, and execution goes on behind the int. */
#include "test.h"

void test_main(void) {
  u32 ebx = 0x11111111, ecx = 0x22222222, edx = 0x33333333, esi = 0x44444444, edi = 0x55555555;
  setup();
  for (u32 i = 0; i < 3; i++) {
    u32 eax = i == 0 ? LHCALL_FLUSH_ASYNC : i == 1 ? LHCALL_SEND_INTERRUPTS : LHCALL_TS;
    ebx = 0;
    __asm__ volatile("int $0x1f" : "+a"(eax), "+b"(ebx), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi) : : "memory");
    check_equal("EBX", ebx, 0);
    check_equal("ECX", ecx, 0x22222222);
    check_equal("EDX", edx, 0x33333333);
    check_equal("ESI", esi, 0x44444444);
    check_equal("EDI", edi, 0x55555555);
  }
}
