/* Instructions that an i686 kernel's atomics rest on: CMPXCHG8B, CMPXCHG, XADD, XCHG, BTS, with and without LOCK. */
#include "test.h"

static u64 word __attribute__((aligned(8)));
static u32 half;

void test_main(void) {
  u8 equal;
  u32 eax, edx, old;
  setup();
  word = 0x1122334455667788ull;
  eax = 0x55667788, edx = 0x11223344;
  __asm__ volatile("lock; cmpxchg8b %1; sete %0" : "=q"(equal), "+m"(word), "+a"(eax), "+d"(edx) : "b"(1), "c"(2));
  check(equal && word == 0x0000000200000001ull, "an equal exchange left %llx", word);
  __asm__ volatile("cmpxchg8b %1; sete %0" : "=q"(equal), "+m"(word), "+a"(eax), "+d"(edx) : "b"(3), "c"(4));
  check(!equal && eax == 1 && edx == 2, "an unequal exchange gave %x:%x", edx, eax);
  half = 5, eax = 5;
  __asm__ volatile("lock; cmpxchgl %3, %1; sete %0" : "=q"(equal), "+m"(half), "+a"(eax) : "r"(9));
  check(equal && half == 9, "cmpxchg left %x", half);
  old = 3;
  __asm__ volatile("lock; xaddl %0, %1" : "+r"(old), "+m"(half));
  check(old == 9 && half == 12, "xadd gave %u and %u", old, half);
  __asm__ volatile("xchgl %0, %1" : "+r"(old), "+m"(half));
  check(old == 12 && half == 9, "xchg gave %u and %u", old, half);
  __asm__ volatile("lock; btsl $1, %1; setc %0" : "=q"(equal), "+m"(half));
  check(!equal && half == 11, "bts left %x", half);
  TRY("lock; cmpxchg8b (%0)", : : "r"(0x40000000), "a"(0), "d"(0), "b"(0), "c"(0));
  expect_page_fault("cmpxchg8b on a page that is not there", 0x40000000, PFERR_WRITE);
}
