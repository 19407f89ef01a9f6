/* A handler behind a null selector cannot be entered: the domain dies of the trap. */
#include "test.h"

void test_main(void) {
  setup();
  struct trap_info table[2] = {trap_entry(VECTOR_UD, 0)};
  table[0].cs = 0;
  set_trap_table(table);
  __asm__ volatile("ud2");
  survived();
}
