/* INT 0x80 of ring 3 arrives in the guest's kernel directly, with the registers as they were and the mask left alone. */
#include "test.h"

static struct frame kept;

static void keep(struct frame *frame) {
  kept = *frame;
  frame->eax = 78;
  trap_hook = NULL;
}

static u32 USER_CODE call_80(u32 argument) {
  u32 result = 77;
  __asm__ volatile("int $0x80" : "+a"(result) : "b"(argument), "c"(2), "d"(3), "S"(4), "D"(5) : "memory");
  return result;
}

void test_main(void) {
  setup();
  trap_hook = keep;
  check_equal("what the call gives", user_call(call_80, 1), 78);
  check_equal("EAX", kept.eax, 77);
  check_equal("EBX", kept.ebx, 1);
  check_equal("ECX", kept.ecx, 2);
  check_equal("EDX", kept.edx, 3);
  check_equal("ESI", kept.esi, 4);
  check_equal("EDI", kept.edi, 5);
  check_equal("vector", kept.vector, 0x80);
  check_equal("CS", kept.cs, USER_CS);
  check_equal("SS", kept.ss & 0xffff, USER_DS);
  check_equal("the saved mask", kept.saved_mask, 0);
  check_equal("IF", kept.eflags & EFLAGS_IF, EFLAGS_IF);
  check_equal("the mask in the handler", fault.mask, 0);
}
