/* xen_version: every sub-command, with texts that are filled up with NULs to their size. */
#include "test.h"

static char text[1100];

static void check_text(const char *what, u32 command, u32 size, const char *begins) {
  memset(text, 0x55, sizeof text);
  check_answer(what, xen_version(command, text), 0);
  u32 length = strlen(text);
  check(length < size && !strncmp(text, begins, strlen(begins)), "%s is %s", what, text);
  for (u32 i = length; i < size; i++)
    if (text[i]) {
      check(0, "%s has %x at %u, behind its end", what, text[i], i);
      return;
    }
  check(text[size] == 0x55, "%s is longer than %u", what, size);
}

void test_main(void) {
  setup();
  check_answer("version", xen_version(XENVER_VERSION, NULL), 4 << 16 | 17);
  check_text("extraversion", XENVER_EXTRAVERSION, 16, ".");
  check_text("capabilities", XENVER_CAPABILITIES, 1024, "xen-3.0-x86_32p");
  check_text("changeset", XENVER_CHANGESET, 64, "");
  memset(text, 0x55, sizeof text);
  check_answer("compile_info", xen_version(XENVER_COMPILE_INFO, text), 0);
  check(text[63] == 0 && text[79] == 0 && text[111] == 0 && text[143] == 0 && text[144] == 0x55, "its fields are not filled up");
  u32 words[2] = {0, 0};
  check_answer("platform_parameters", xen_version(XENVER_PLATFORM_PARAMETERS, words), 0);
  check_equal("where Xen begins", words[0], HYPERVISOR_VIRT_START);
  words[0] = 0;
  check_answer("get_features", xen_version(XENVER_GET_FEATURES, words), 0);
  check_equal("features of HVM guests", words[1] & (1 << XENFEAT_AUTO_TRANSLATED_PHYSMAP | 1 << XENFEAT_HVM_CALLBACK_VECTOR |
                                                    1 << XENFEAT_DOM0 | 1 << XENFEAT_SUPERVISOR_MODE_KERNEL), 0);
  u32 wanted = 1 << XENFEAT_MMU_PT_UPDATE_PRESERVE_AD | 1 << XENFEAT_GNTTAB_MAP_AVAIL_BITS;
  check_equal("features of PV guests", words[1] & wanted, wanted);
  words[0] = 1;
  check_answer("features past the last", xen_version(XENVER_GET_FEATURES, words), -XEN_EINVAL);
  check_answer("pagesize", xen_version(XENVER_PAGESIZE, NULL), PAGE_SIZE);
  check_answer("guest_handle", xen_version(XENVER_GUEST_HANDLE, text), 0);
  check_answer("a command that is none", xen_version(99, text), -XEN_ENOSYS);
  static const u32 commands[] = {1, 2, 3, 4, 5, 6, 8};
  for (u32 i = 0; i < COUNT_OF(commands); i++)
    check_answer("an unmapped answer", xen_version(commands[i], (void *)FREE_LIN), -XEN_EFAULT);
}
