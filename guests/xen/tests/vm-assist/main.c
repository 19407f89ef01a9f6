/* vm_assist: which assists a 32-bit guest may turn on and off, and what another command is. */
#include "test.h"

void test_main(void) {
  setup();
  for (u32 type = VMASST_TYPE_4GB_SEGMENTS; type <= VMASST_TYPE_RUNSTATE_UPDATE_FLAG; type++) {
    check_answer("enabling", vm_assist(VMASST_CMD_ENABLE, type), 0);
    check_answer("enabling again", vm_assist(VMASST_CMD_ENABLE, type), 0);
    check_answer("disabling", vm_assist(VMASST_CMD_DISABLE, type), 0);
  }
  check_answer("one that is none", vm_assist(VMASST_CMD_ENABLE, 6), -XEN_EINVAL);
  check_answer("one past a word", vm_assist(VMASST_CMD_ENABLE, 33), -XEN_EINVAL);
  check_answer("a command that is none", vm_assist(2, VMASST_TYPE_4GB_SEGMENTS), -XEN_ENOSYS);
}
