/* A reason that is none ends the domain all the same. */
#include "test.h"

void test_main(void) {
  shut_down(77);
}
