/* The guest for wasmvisor: the microkernels' framework carries the plan. */
#include "kernels.h"
#include "test.h"

void put_text(const char *text) { printk("%s", text); }

u32 call_at_ring3(u32 (*function)(u32 rounds), u32 rounds) {
  u32 checksum = user_call(function, rounds);
  if (checksum == NO_FAULT && fault.vector != SYSCALL_VECTOR)
    error("vector %u at %p", fault.vector, (void *)fault.eip);
  return checksum;
}

void test_main(void) {
  setup();
  run_plan();
  power_off();
}
