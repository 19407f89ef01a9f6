/* The way up for lguest: marks go out by NOTIFY, which the Host of a guest with a descriptor page prints at once. */
#include "platform.h"
#include "text.h"

struct lguest_data lguest_data = {
    .blocked_interrupts = ~0u,
    .hcall_status = {[0 ... LG_RING_SLOTS - 1] = LG_HCALL_FREE},
    .kernel_address = 0xc0000000,
    .syscall_vec = VECTOR_LEAN_CALL,
};

u32 ring_cursor;
extern u8 trap_stack_top[];

void put_text(const char *text) { hcall1(LHCALL_NOTIFY, text); }

/* boot_params is at address 0, which C takes for no address at all unless it is told otherwise. */
const char *platform_start(const void *info) {
  u32 params = BOOT_PARAMS_GPA;
  (void)info;
  __asm__("" : "+r"(params));
  hcall1(LHCALL_LGUEST_INIT, &lguest_data);
  return *(const char *volatile *)(params + BP_CMD_LINE_PTR);
}

void platform_tables_on(u32 directory, pte_t *ram) {
  (void)ram;
  struct descriptor code = descriptor(0, 0xfffff, 0xfb, 0xc);
  struct descriptor data = descriptor(0, 0xfffff, 0xf3, 0xc);
  switch_directory(directory);
  hcall3(LHCALL_LOAD_GDT_ENTRY, USER_CODE_SELECTOR >> 3, code.low, code.high);
  hcall3(LHCALL_LOAD_GDT_ENTRY, USER_DATA_SELECTOR >> 3, data.low, data.high);
  hcall3(LHCALL_SET_STACK, KERNEL_STACK_SELECTOR, trap_stack_top, 2);
}

/* Trap gates for what a program asks for, as Linux has them; interrupts are off throughout, so the others may be either. */
void platform_gate(u32 vector, void (*handler)(void), u32 dpl) {
  load_gate(vector, (u32)handler, dpl == 3 ? SYSDESC_TRAP_GATE32 : SYSDESC_INT_GATE32, dpl);
}

void platform_end(void) {
  for (;;)
    hcall2(LHCALL_SHUTDOWN, LGUEST_POWER_DOWN, LGUEST_SHUTDOWN_POWEROFF);
}
