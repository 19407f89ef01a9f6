/* VCPUOP_initialise: a vCPU gets its registers once, and not with tables that are no good. */
#include "test.h"

static void never(void) {}

static s32 initialise(void) { return vcpu_op(VCPUOP_INITIALISE, 1, &second); }

void test_main(void) {
  setup();
  check_answer("the first vCPU is up", vcpu_op(VCPUOP_IS_UP, 0, NULL), 1);
  check_answer("the second is not", vcpu_op(VCPUOP_IS_UP, 1, NULL), 0);
  check_answer("up, without registers", vcpu_op(VCPUOP_UP, 1, NULL), -XEN_EINVAL);
  check_answer("a context that cannot be read", vcpu_op(VCPUOP_INITIALISE, 1, (void *)FREE_LIN), -XEN_EFAULT);
  second_prepare(never);
  check_answer("a vCPU that is none", vcpu_op(VCPUOP_INITIALISE, 2, &second), -XEN_ENOENT);
  check_answer("the first, which runs", vcpu_op(VCPUOP_INITIALISE, 0, &second), -XEN_EEXIST);

  u32 cr3 = second.ctrlreg[3];
  second.ctrlreg[3] = 0;
  check_answer("page tables nowhere", initialise(), -XEN_EINVAL);
  u32 data = mfn_of(alloc_page());
  second.ctrlreg[3] = data << 12 | data >> 20;
  check_answer("page tables in a page that is mapped writable", initialise(), -XEN_EINVAL);
  second.ctrlreg[3] = cr3;

  second.ldt_base = 0x1004;
  check_answer("an LDT that begins within a page", initialise(), -XEN_EINVAL);
  second.ldt_base = 0;
  second.ldt_ents = 8193;
  check_answer("an LDT too long", initialise(), -XEN_EINVAL);
  second.ldt_ents = 0;

  second.gdt_ents = 7169;
  check_answer("a GDT too long", initialise(), -XEN_EINVAL);
  u8 *good = alloc_read_only();
  u8 *writable = alloc_page();
  second.gdt_ents = 1024;
  second.gdt_frames[0] = mfn_of(good);
  second.gdt_frames[1] = mfn_of(writable);
  check_answer("a GDT in a page that is mapped writable", initialise(), -XEN_EINVAL);
  second.gdt_frames[1] = NO_MFN;
  check_answer("a GDT that is nowhere", initialise(), -XEN_EINVAL);
  set_access(good, KERNEL_FLAGS);
  check_answer("up, after all that", vcpu_op(VCPUOP_UP, 1, NULL), -XEN_EINVAL);

  set_access(good, READ_ONLY_FLAGS);
  second.gdt_ents = 512;
  check_answer("a good context", initialise(), 0);
  check_answer("another", initialise(), -XEN_EEXIST);
  check_answer("it is not up", vcpu_op(VCPUOP_IS_UP, 1, NULL), 0);
  s32 answer = update_va_mapping((u32)good, entry_for(good, KERNEL_FLAGS), UVMF_INVLPG);
  check_answer("its GDT is in use", answer, -XEN_EBUSY);
}
