/* CPUID behind the prefix that asks the hypervisor: Xen's leaves, at ring 1 and at ring 3; other instructions behind it are undefined. */
#include "test.h"

struct leaf {
  u32 eax, ebx, ecx, edx;
};

#define FORCED ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; "

static struct leaf forced(u32 number, u32 sub) {
  struct leaf leaf;
  __asm__ volatile(FORCED "cpuid" : "=a"(leaf.eax), "=b"(leaf.ebx), "=c"(leaf.ecx), "=d"(leaf.edx) : "0"(number), "2"(sub));
  return leaf;
}

static u32 USER_CODE forced_user(u32 number) {
  u32 ebx, ecx, edx;
  __asm__ volatile(FORCED "cpuid" : "+a"(number), "=b"(ebx), "=c"(ecx), "=d"(edx));
  return ebx;
}

void test_main(void) {
  setup();
  struct leaf leaf = forced(0x40000000, 0);
  check(leaf.eax >= 0x40000002 && leaf.eax < 0x40000100, "the last leaf is %x", leaf.eax);
  check_equal("EBX", leaf.ebx, 0x566e6558);
  check_equal("ECX", leaf.ecx, 0x65584d4d);
  check_equal("EDX", leaf.edx, 0x4d4d566e);
  check_equal("the version", forced(0x40000001, 0).eax, XEN_VERSION);
  check_equal("pages of calls", forced(0x40000002, 0).eax, 1);
  check_equal("the first leaf's EBX at ring 3", user_call(forced_user, 0x40000000), 0x566e6558);
  check(forced(0x40000100, 0).ebx != 0x566e6558, "the signature is there a second time");
  check(forced(1, 0).edx & 1, "there is no FPU");
  check_equal("global pages and superpages", forced(1, 0).edx & (1 << 13 | 1 << 3), 0);
  TRY(FORCED "nop", :);
  expect_fault("another instruction behind the prefix", VECTOR_UD, 0);
  TRY("ud2", :);
  expect_fault("no prefix", VECTOR_UD, 0);
}
