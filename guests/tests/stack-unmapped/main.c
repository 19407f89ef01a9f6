/* A trap at ring 1 that finds no stack to push on kills; there is nobody left to tell. */
#include "test.h"

void test_main(void) {
  setup();
  __asm__ volatile("movl $0x40001000, %%esp; ud2" : : : "memory");
  survived();
}
