/* Xen's area: the machine-to-physical table is the kernel's to read and nobody's to write; nothing else is there. */
#include "test.h"

static u32 USER_CODE read_at(u32 address) { return *(volatile u32 *)address; }

void test_main(void) {
  setup();
  u32 mfn = mfn_of(test_main);
  check_equal("the table", M2P[mfn], (u32)test_main >> 12);
  expect_read_only("the table", M2P + mfn);
  user_call(read_at, (u32)(M2P + mfn));
  expect_fault("a program's read", VECTOR_PF, PFERR_PRESENT | PFERR_USER);
  for (u32 lin = MACH2PHYS_VIRT_END; lin >= MACH2PHYS_VIRT_END; lin += 0x200000) {
    TRY("movl (%0), %%eax", : : "r"(lin) : "eax");
    check(fault.vector == VECTOR_PF, "a read of %x ends with vector %u", lin, fault.vector);
    TRY("movl %%eax, (%0)", : : "r"(lin) : "memory");
    check(fault.vector == VECTOR_PF, "a write of %x ends with vector %u", lin, fault.vector);
  }
  check_equal("a frame without a page", M2P[0], INVALID_M2P_ENTRY);
  u32 frames[3];
  check_answer("calls do not read there", set_gdt((u32 *)0xf7000000, 1), -XEN_EFAULT);
  check_answer("calls do not write there", xen_version(XENVER_EXTRAVERSION, (void *)HYPERVISOR_VIRT_START), -XEN_EFAULT);
  check_answer("nor across its start", xen_version(XENVER_EXTRAVERSION, (void *)(HYPERVISOR_VIRT_START - 4)), -XEN_EFAULT);
  check_answer("nor across the end of all", xen_version(XENVER_EXTRAVERSION, (void *)0xfffffffc), -XEN_EFAULT);
  check_answer("machphys_mapping", memory_op(XENMEM_MACHPHYS_MAPPING, frames), 0);
  check_equal("its start", frames[0], HYPERVISOR_VIRT_START);
  check_equal("its end", frames[1], MACH2PHYS_VIRT_END);
  check(frames[2] >= mfn, "the last frame is %x", frames[2]);
  struct {
    u32 max, *list, count;
  } list = {1, frames, 0};
  check_answer("machphys_mfn_list", memory_op(XENMEM_MACHPHYS_MFN_LIST, &list), 0);
  check(map(FREE_LIN, (pte_t)frames[0] << 12 | KERNEL_FLAGS) < 0, "the table can be mapped writable");
}
