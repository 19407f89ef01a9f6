/* From linear mode to a kernel with tables, gates and a stack for traps. */
#include "test.h"

struct lguest_data lguest_data = {
    .blocked_interrupts = 1,
    .hcall_status = {[0 ... LG_RING_SLOTS - 1] = LG_HCALL_FREE},
#ifdef LGUEST_PCI
    .noirq_iret = (u32)noirq_iret,
#else
    .noirq_start = (u32)noirq_start,
    .noirq_end = (u32)noirq_end,
#endif
    .kernel_address = KERNEL_HALF,
    .syscall_vec = SYSCALL_VECTOR,
};

extern int can_print;

u32 ring_cursor;

void ring_add(u32 nr, u32 arg1, u32 arg2, u32 arg3, u32 arg4) {
  volatile struct hcall_args *call = &lguest_data.hcalls[ring_cursor];
  call->nr = nr;
  call->arg1 = arg1;
  call->arg2 = arg2;
  call->arg3 = arg3;
  call->arg4 = arg4;
  barrier();
  lguest_data.hcall_status[ring_cursor] = 0;
  ring_cursor = (ring_cursor + 1) % LG_RING_SLOTS;
}

/* boot_params is at address 0, which C takes for no address at all unless it is told otherwise. */
u32 ram_bytes(void) {
  u32 params = BOOT_PARAMS_GPA;
  __asm__("" : "+r"(params));
  return *(volatile u32 *)(params + BP_E820_TABLE + 8);
}

void lg_init(void) {
  hcall1(LHCALL_LGUEST_INIT, &lguest_data);
  can_print = 1;
}

void traps_init(void) {
  struct descriptor code = descriptor(0, 0xfffff, 0xfb, 0xc);
  struct descriptor data = descriptor(0, 0xfffff, 0xf3, 0xc);
  hcall3(LHCALL_LOAD_GDT_ENTRY, USER_CS >> 3, code.low, code.high);
  hcall3(LHCALL_LOAD_GDT_ENTRY, USER_DS >> 3, data.low, data.high);
  for (u32 vector = 0; vector < 64; vector++)
    load_gate(vector, (u32)trap_stubs + 16 * vector, SYSDESC_INT_GATE32, vector == VECTOR_BP || vector == VECTOR_OF ? 3 : 0);
  load_gate(SYSCALL_VECTOR, (u32)syscall_stub, SYSDESC_TRAP_GATE32, 3);
  hcall3(LHCALL_SET_STACK, KERNEL_DS, trap_stack_top, 2);
}

void setup(void) {
  lg_init();
  paging_init();
  traps_init();
}
