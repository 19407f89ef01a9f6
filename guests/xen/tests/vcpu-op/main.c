/* vcpu_op on the only vCPU: it is up, and others do not exist. */
#include "test.h"

void test_main(void) {
  setup();
  check_answer("is_up", vcpu_op(VCPUOP_IS_UP, 0, NULL), 1);
  check_answer("up", vcpu_op(VCPUOP_UP, 0, NULL), 0);
  static const u32 commands[] = {VCPUOP_INITIALISE, VCPUOP_UP, VCPUOP_DOWN, VCPUOP_IS_UP, VCPUOP_SEND_NMI};
  for (u32 i = 0; i < COUNT_OF(commands); i++) {
    check_answer("another vCPU", vcpu_op(commands[i], 1, (void *)FREE_LIN), -XEN_ENOENT);
    check_answer("one past all", vcpu_op(commands[i], 0xffffffff, (void *)FREE_LIN), -XEN_ENOENT);
  }
  check_answer("a command that is none", vcpu_op(99, 0, NULL), -XEN_ENOSYS);
  u64 area = (u32)alloc_page() + 0x800;
  check_answer("a copy of the time", vcpu_op(VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA, 0, &area), 0);
  check(peek((u32)area) && !(peek((u32)area) & 1), "its version is %u", peek((u32)area));
  check_equal("its rate", peek((u32)area + TI_TSC_TO_SYSTEM_MUL), vcpu->tsc_to_system_mul);
}
