/* RDTSC is there for everybody; with CR4.TSD the kernel's is carried out and the program's is #GP. It never goes back. */
#include "test.h"

static u32 USER_CODE user_rdtsc(u32 argument) {
  __asm__ volatile("rdtsc" : "=a"(argument) : : "edx");
  return argument;
}

void test_main(void) {
  setup();
  u64 first = rdtsc(), second = rdtsc();
  check(second > first, "the counter goes from %llx to %llx", first, second);
  user_call(user_rdtsc, 0);
  expect_fault("coming back", SYSCALL_VECTOR, 0);
  u32 cr4;
  __asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
  TRY("movl %0, %%cr4", : : "r"(cr4 | CR4_TSD));
  TRY("rdtsc", : : : "eax", "edx");
  expect_no_fault("RDTSC of the kernel with TSD");
  check(rdtsc() > second, "the counter stands still");
  user_call(user_rdtsc, 0);
  expect_fault("RDTSC of a program with TSD", VECTOR_GP, 0);
  TRY("movl %0, %%cr4", : : "r"(cr4));
}
