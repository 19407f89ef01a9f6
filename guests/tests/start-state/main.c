/*
 * The Host enters with boot_params at 0 describing RAM and the subarchitecture, ESI = 0, flat segments at ring 1, and the
 * data segment registers usable without a load.
 */
#include "test.h"

void test_main(void) {
  u32 params = BOOT_PARAMS_GPA;
  u16 cs, ds, es, ss, fs, gs;
  __asm__("" : "+r"(params));
  __asm__("movw %%cs, %0; movw %%ds, %1; movw %%es, %2" : "=r"(cs), "=r"(ds), "=r"(es));
  __asm__("movw %%ss, %0; movw %%fs, %1; movw %%gs, %2" : "=r"(ss), "=r"(fs), "=r"(gs));
  lg_init();
  check_equal("CS", cs, LGUEST_KERNEL_CS);
  check_equal("DS", ds, LGUEST_KERNEL_DS);
  check_equal("ES", es, LGUEST_KERNEL_DS);
  check_equal("SS", ss, LGUEST_KERNEL_DS);
  check_equal("FS", fs, 0);
  check_equal("GS", gs, 0);
  check_equal("EFLAGS.IF and IOPL", read_eflags() & (EFLAGS_IF | EFLAGS_IOPL), EFLAGS_IF);
  check_equal("subarchitecture", peek(params + BP_HARDWARE_SUBARCH), BP_SUBARCH_LGUEST);
  check_equal("e820 entries", peek(params + BP_E820_ENTRIES) & 0xff, 1);
  check_equal("e820[0] start", peek(params + BP_E820_TABLE), 0);
  check_equal("e820[0] type", peek(params + BP_E820_TABLE + 16), BP_E820_RAM);
  check(peek(params + BP_VERSION) << 16 >= BP_VERSION_VALUE << 16, "boot protocol below 2.07");
  check_equal("command line", peek(params + BP_CMD_LINE_PTR), LGUEST_CMDLINE_GPA);
}
