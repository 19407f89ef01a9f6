/* Runs the plan; the same object in both guests. */
#include "kernels.h"
#include "text.h"

struct plan plan __attribute__((section(".data"))) = {.magic = "benchmark-plan:"};

static u32 (*const kernels[])(u32 rounds) = {
    bench_sieve, bench_crc, bench_fib, bench_sort, bench_copy, bench_vm,
};

void run_plan(void) {
  const volatile struct plan *wanted = &plan;
  for (u32 i = 0; i < wanted->count; i++) {
    char line[32];
    put_text("[");
    u32 checksum = call_at_ring3(kernels[wanted->step[i].kernel], wanted->step[i].rounds);
    format(line, sizeof line, "]%08x\n", checksum);
    put_text(line);
  }
  put_text("done\n");
}
