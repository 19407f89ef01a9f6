/* PHYSDEVOP_set_iopl: from which ring on ports may be used and CLI is ignored instead of refused. Reads of ports without a device are ones. */
#include "test.h"

static u32 USER_CODE user_out(u32 argument) {
  __asm__ volatile("outb %%al, $0x80" : : "a"(argument));
  return argument;
}
static u32 USER_CODE user_cli(u32 argument) {
  __asm__ volatile("cli");
  return argument;
}

static void expect(const char *what, int allowed) {
  if (allowed)
    check(fault.vector == NO_FAULT || fault.vector == SYSCALL_VECTOR, "%s: vector %u", what, fault.vector);
  else
    expect_fault(what, VECTOR_GP, 0);
}

void test_main(void) {
  setup();
  for (u32 iopl = 0; iopl < 4; iopl++) {
    check_answer("set_iopl", physdev_op(PHYSDEVOP_SET_IOPL, &iopl), 0);
    TRY("outb %%al, $0x80", : : "a"(0));
    expect("OUT at ring 1", iopl >= 1);
    TRY("cli", :);
    expect("CLI at ring 1", iopl >= 1);
    check_equal("IF after CLI", read_eflags() & EFLAGS_IF, EFLAGS_IF);
    check_equal("IOPL in EFLAGS", read_eflags() & EFLAGS_IOPL, 0);
    user_call(user_out, 0);
    expect("OUT at ring 3", iopl == 3);
    user_call(user_cli, 0);
    expect("CLI at ring 3", iopl == 3);
  }
  u32 eax = 0;
  __asm__ volatile("inb $0x70, %%al" : "+a"(eax));
  check_equal("IN of a byte", eax, 0xff);
  __asm__ volatile("inw $0x70, %%ax" : "+a"(eax));
  check_equal("IN of a word", eax, 0xffff);
  __asm__ volatile("inl %%dx, %%eax" : "+a"(eax) : "d"(0x3f8));
  check_equal("IN of four bytes", eax, 0xffffffff);
  static u8 buffer[16];
  u32 edi = (u32)buffer, ecx = 5;
  __asm__ volatile("cld; rep insb" : "+D"(edi), "+c"(ecx) : "d"(0x3f8) : "memory");
  check(edi == (u32)buffer + 5 && ecx == 0 && buffer[4] == 0xff && buffer[5] == 0, "REP INS left %x %x %x", edi, ecx, buffer[4]);
  u32 esi = (u32)buffer;
  ecx = 5;
  __asm__ volatile("rep outsb" : "+S"(esi), "+c"(ecx) : "d"(0x80) : "memory");
  check(esi == (u32)buffer + 5 && ecx == 0, "REP OUTS left %x %x", esi, ecx);
  u32 iopl = 4;
  check_answer("a fifth level", physdev_op(PHYSDEVOP_SET_IOPL, &iopl), -XEN_EINVAL);
  check_answer("an unmapped argument", physdev_op(PHYSDEVOP_SET_IOPL, (void *)FREE_LIN), -XEN_EFAULT);
}
