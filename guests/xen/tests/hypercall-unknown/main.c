/* Numbers that are no calls answer -ENOSYS, and so do calls of other kinds of guests and of builds with more in them. */
#include "test.h"

void test_main(void) {
  setup();
  static const u32 numbers[] = {11, 25, 43, 47, 50, 55, 56, 63, 64, 127};
  for (u32 i = 0; i < COUNT_OF(numbers); i++) {
    s32 answer = hypercall0(numbers[i]);
    check(answer == -XEN_ENOSYS, "number %u answers %d", numbers[i], answer);
  }
  s32 answer;
  static const u32 huge[] = {128, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff};
  for (u32 i = 0; i < COUNT_OF(huge); i++) {
    __asm__ volatile("int %1" : "=a"(answer) : "i"(TRAP_HYPERCALL), "0"(huge[i]) : "memory");
    check(answer == -XEN_ENOSYS, "number %x answers %d", huge[i], answer);
  }
  check_answer("xsm_op", hypercall1(HYPERVISOR_XSM_OP, 0), -XEN_ENOSYS);
  check_answer("tmem_op", hypercall1(HYPERVISOR_TMEM_OP, 0), -XEN_ENOSYS);
}
