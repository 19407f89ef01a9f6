/*
 * I/O instructions of the guest kernel: reads give ones in the bits asked for, writes vanish; port 0x64 reads 1 on the
 * later variety, and port 0x61 names no cause of an NMI. Ring 3, string I/O, sti and hlt get a fault; a leftover cli is skipped.
 */
#include "test.h"

static u32 USER_CODE user_in(u32 argument) {
  __asm__ volatile("inb $0x61, %%al" : "+a"(argument));
  return argument;
}

void test_main(void) {
  u32 eax;
  setup();
  eax = 0x11223300;
  TRY("inb $0x70, %%al", : "+a"(eax));
  expect_no_fault("in al, imm");
  check_equal("AL", eax, 0x112233ff);
  eax = 0;
  TRY("inb $0x61, %%al", : "+a"(eax));
  check_equal("port 0x61", eax, 0x3f);
  eax = 0x11220000;
  TRY("inw %%dx, %%ax", : "+a"(eax) : "d"(0x3f8));
  expect_no_fault("in ax, dx");
  check_equal("AX", eax, 0x1122ffff);
  eax = 0;
  TRY("inl %%dx, %%eax", : "+a"(eax) : "d"(0x3f8));
  expect_no_fault("in eax, dx");
  check_equal("EAX", eax, 0xffffffff);
  TRY("outb %%al, $0x80; outw %%ax, %%dx; outl %%eax, %%dx; outl %%eax, $0x84", : : "a"(0x12345678), "d"(0x3f8));
  expect_no_fault("out");
  eax = 0;
  TRY("inb $0x64, %%al", : "+a"(eax));
  expect_no_fault("in from port 0x64");
#ifdef LGUEST_PCI
  check_equal("port 0x64", eax, 1);
#else
  check_equal("port 0x64", eax, 0xff);
#endif
  TRY("cli", :);
  expect_no_fault("cli");
  TRY("sti", :);
  expect_fault("sti", VECTOR_GP, 0);
  TRY("hlt", :);
  expect_fault("hlt", VECTOR_GP, 0);
  u8 byte;
  TRY("insb (%%dx), %%es:(%%edi)", : : "d"(0x3f8), "D"(&byte) : "memory");
  expect_fault("insb", VECTOR_GP, 0);
  user_call(user_in, 0);
  expect_fault("in at ring 3", VECTOR_GP, 0);
}
