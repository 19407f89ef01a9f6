/* set_trap_table without a table empties it: the next fault has no handler, and the domain dies of it. */
#include "test.h"

void test_main(void) {
  setup();
  check_answer("no table", set_trap_table(NULL), 0);
  __asm__ volatile("ud2");
  survived();
}
