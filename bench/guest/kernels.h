/* The compute kernels, and the plan that says which of them to run. */
#ifndef KERNELS_H
#define KERNELS_H

#include "types.h"

u32 bench_sieve(u32 rounds);
u32 bench_crc(u32 rounds);
u32 bench_fib(u32 rounds);
u32 bench_sort(u32 rounds);
u32 bench_copy(u32 rounds);
u32 bench_vm(u32 rounds);

#define PLAN_STEPS 64

/* Filled in by whoever starts the guest, inside the image: found by its magic. */
struct plan {
  char magic[16];
  u32 count;
  struct {
    u32 kernel, rounds;
  } step[PLAN_STEPS];
};

/*
 * Runs the plan. For each step it prints "[", calls the kernel at ring 3, prints "]", the checksum and a newline; at the
 * end it prints "done" and a newline. The host takes the time when it sees the brackets.
 */
void run_plan(void);

/* What each of the two guests provides. */
void put_text(const char *text);
u32 call_at_ring3(u32 (*function)(u32 rounds), u32 rounds);

#endif
