/* multicall performs a list in order: each entry has its own result, the call itself 0 whatever they are. */
#include "test.h"

void test_main(void) {
  setup();
  u32 feature[2] = {0, 0};
  struct multicall_entry list[] = {
      {.op = HYPERVISOR_XEN_VERSION, .args = {XENVER_VERSION}},
      {.op = HYPERVISOR_MMU_UPDATE, .args = {FREE_LIN, 1, 0, DOMID_SELF}},
      {.op = HYPERVISOR_FPU_TASKSWITCH, .args = {1}},
      {.op = HYPERVISOR_XEN_VERSION, .args = {XENVER_GET_FEATURES, (u32)feature}},
      {.op = HYPERVISOR_SCHED_OP, .args = {SCHEDOP_YIELD}},
      {.op = 63},
      {.op = 0xffffffff},
      {.op = HYPERVISOR_UPDATE_VA_MAPPING, .args = {FREE_LIN, 0, 0, 0}},
      {.op = HYPERVISOR_XEN_VERSION, .args = {XENVER_PAGESIZE}},
  };
  static const s32 wanted[] = {XEN_VERSION, -XEN_EFAULT, 0, 0, 0, -XEN_ENOSYS, -XEN_ENOSYS, -XEN_EINVAL, PAGE_SIZE};
  for (u32 i = 0; i < COUNT_OF(list); i++)
    list[i].result = 0x5555;
  check_answer("the list", multicall(list, COUNT_OF(list)), 0);
  for (u32 i = 0; i < COUNT_OF(list); i++)
    check(list[i].result == wanted[i], "entry %u answers %d, wanted %d", i, list[i].result, wanted[i]);
  check(feature[1] != 0, "the call that left for the Host wrote nothing");
  TRY("fnop", :);
  expect_fault("after the task switch", VECTOR_NM, 0);
  check_answer("none", multicall(NULL, 0), 0);
  check_answer("an unmapped list", multicall((void *)FREE_LIN, 1), -XEN_EFAULT);
  struct multicall_entry inner = {.op = HYPERVISOR_XEN_VERSION};
  struct multicall_entry outer = {.op = HYPERVISOR_MULTICALL, .args = {(u32)&inner, 1}};
  check_answer("a list in a list", multicall(&outer, 1), 0);
  check_answer("the inner one", outer.result, -XEN_EINVAL);
}
