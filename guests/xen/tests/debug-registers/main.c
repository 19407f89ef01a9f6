/* set_debugreg and get_debugreg, and MOV to and from them: fixed bits, what is refused, and CR4.DE, which takes DR4 and DR5 away. */
#include "test.h"

static s32 set(u32 reg, u32 value) { return hypercall2(HYPERVISOR_SET_DEBUGREG, reg, value); }
static u32 get(u32 reg) { return hypercall1(HYPERVISOR_GET_DEBUGREG, reg); }

void test_main(void) {
  setup();
  check_equal("DR6 at the start", get(6), 0xffff0ff0);
  check_equal("DR7 at the start", get(7), 0x400);
  for (u32 i = 0; i < 4; i++) {
    check_equal("an address at the start", get(i), 0);
    check_answer("setting an address", set(i, 0x1000 * i + 1), 0);
    check_equal("the address", get(i), 0x1000 * i + 1);
  }
  check_answer("DR6 with all bits", set(6, 0xffffffff), 0);
  check_equal("DR6", get(6), 0xffffefff);
  check_equal("DR4 is DR6", get(4), 0xffffefff);
  check_answer("DR6 by way of DR4", set(4, 0), 0);
  check_equal("DR6", get(6), 0xffff0ff0);
  check_answer("DR7 with GD", set(7, 0x2000), -XEN_EPERM);
  check_answer("an I/O breakpoint without CR4.DE", set(7, 0x20001), -XEN_EPERM);
  check_answer("one that is not enabled", set(7, 0x20000), 0);
  check_answer("DR7 by way of DR5", set(5, 0xd800), 0);
  check_equal("DR7", get(7), 0x400);
  check_answer("DR8", set(8, 0), -XEN_ENODEV);
  check_answer("DR8", get(8), -XEN_ENODEV);
  check_answer("DR with the top bit", set(0x80000000, 0), -XEN_ENODEV);
  u32 cr4, value;
  __asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
  TRY("movl %0, %%cr4", : : "r"(cr4 | CR4_DE));
  expect_no_fault("setting CR4.DE");
  check_answer("DR4 with CR4.DE", set(4, 0), -XEN_ENODEV);
  check_answer("DR5 with CR4.DE", get(5), -XEN_ENODEV);
  check_answer("an I/O breakpoint with CR4.DE", set(7, 0x20001), 0);
  set(7, 0);
  TRY("movl %%dr4, %%eax", : : : "eax");
  expect_fault("MOV from DR4 with CR4.DE", VECTOR_UD, 0);
  TRY("movl %0, %%dr2; movl %%dr2, %%eax; movl %%eax, %1", : : "r"(0x4321), "m"(value) : "eax", "memory");
  expect_no_fault("MOV to and from DR2");
  check_equal("DR2", get(2), 0x4321);
  TRY("movl %0, %%dr7", : : "r"(0x2000));
  expect_fault("MOV to DR7 with GD", VECTOR_GP, 0);
}
