/* At ring 1 with IOPL 0 popf changes neither IF nor IOPL, silently; the arithmetic flags and ID it does change. */
#include "test.h"

void test_main(void) {
  u32 flags;
  setup();
  TRY("pushl $0x3002; popfl; pushfl; popl %0", : "=r"(flags));
  expect_no_fault("popf");
  check_equal("IF and IOPL", flags & (EFLAGS_IF | EFLAGS_IOPL), EFLAGS_IF);
  TRY("pushl $0x8d7; popfl; pushfl; popl %0; cld", : "=r"(flags));
  check_equal("the arithmetic flags", flags & EFLAGS_ARITH, EFLAGS_ARITH);
  TRY("pushl $0x200002; popfl; pushfl; popl %0", : "=r"(flags));
  check_equal("ID", flags & EFLAGS_ID, EFLAGS_ID);
}
