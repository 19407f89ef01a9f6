/*
 * CPUID works at rings 1 and 3 alike and shows what lguest kernels need; a leaf tells that a hypervisor is present.
 * System calls by sysenter do not exist.
 */
#include "test.h"

struct leaf {
  u32 eax, ebx, ecx, edx;
};

static struct leaf USER_DATA seen_leaf = {0};

static inline struct leaf cpuid(u32 number) {
  struct leaf leaf = {.eax = number};
  __asm__ volatile("cpuid" : "+a"(leaf.eax), "=b"(leaf.ebx), "+c"(leaf.ecx), "=d"(leaf.edx));
  return leaf;
}

static u32 USER_CODE user_cpuid(u32 number) {
  seen_leaf = cpuid(number);
  return 0;
}

static u32 USER_CODE user_sysenter(u32 argument) {
  __asm__ volatile("sysenter");
  return argument;
}

void test_main(void) {
  setup();
  struct leaf leaf = cpuid(1);
  check((leaf.edx & 0x8111) == 0x8111, "FPU, TSC, CX8 or CMOV is missing: %x", leaf.edx);
  check((leaf.eax >> 8 & 15) >= 6, "family %u", leaf.eax >> 8 & 15);
  check(leaf.ecx >> 31 == 1, "the hypervisor bit is not set");
  check(cpuid(0).eax >= 1, "no leaf 1");
  user_call(user_cpuid, 1);
  check_equal("leaf 1 EDX at ring 3", seen_leaf.edx, leaf.edx);
  check_equal("leaf 1 EAX at ring 3", seen_leaf.eax, leaf.eax);
  leaf = cpuid(0x40000000);
  char name[13] = {0};
  memcpy(name, &leaf.ebx, 4);
  memcpy(name + 4, &leaf.ecx, 4);
  memcpy(name + 8, &leaf.edx, 4);
  printk("hypervisor \"%s\"\n", name);
  check(name[0] != 0, "the hypervisor has no name");
  user_call(user_sysenter, 0);
  check(fault.vector == VECTOR_GP || fault.vector == VECTOR_UD, "sysenter at ring 3: vector %u", fault.vector);
}
