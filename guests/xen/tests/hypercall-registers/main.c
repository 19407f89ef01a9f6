/* A call leaves its result in EAX and all other registers and the flags as they were, whether it completes in Wasm or in the Host. */
#include "test.h"

static void check_registers(const char *what, u32 number, u32 first, s32 wanted) {
  u32 eax = number, ebx = first, ecx = 0x2222, edx = 0x3333, esi = 0x4444, edi = 0x5555, flags;
  u16 es;
  __asm__ volatile("stc; int %7; pushfl; popl %6; movw %%es, %8"
                   : "+a"(eax), "+b"(ebx), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi), "=m"(flags)
                   : "i"(TRAP_HYPERCALL), "m"(es) : "memory");
  check_answer(what, eax, wanted);
  check(ebx == first && ecx == 0x2222 && edx == 0x3333 && esi == 0x4444 && edi == 0x5555, "%s: registers %x %x %x %x %x",
        what, ebx, ecx, edx, esi, edi);
  check(flags & EFLAGS_CF, "%s: the carry is gone", what);
}

void test_main(void) {
  setup();
  check_registers("xen_version", HYPERVISOR_XEN_VERSION, XENVER_VERSION, XEN_VERSION);
  check_registers("xen_version in the Host", HYPERVISOR_XEN_VERSION, XENVER_BUILD_ID, -XEN_EPERM);
  check_registers("fpu_taskswitch", HYPERVISOR_FPU_TASKSWITCH, 0, 0);
  check_registers("yield", HYPERVISOR_SCHED_OP, SCHEDOP_YIELD, 0);
  check_registers("a number that is none", 63, 0, -XEN_ENOSYS);
  u8 *page = hypercall_page;
  for (u32 nr = 0; nr < HYPERVISOR_SLOTS; nr++) {
    u8 *slot = page + nr * HYPERCALL_SLOT_BYTES;
    u32 skipped = nr == HYPERVISOR_IRET;
    check(!skipped || *slot == 0x50, "the slot of iret begins with %x", *slot);
    slot += skipped;
    check(*slot == 0xb8 && *(u32 *)(slot + 1) == nr && *(u16 *)(slot + 5) == 0x82cd, "slot %u is another call", nr);
    check(skipped || slot[7] == 0xc3, "slot %u does not return", nr);
  }
}
