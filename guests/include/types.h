/* The integer names that every guest file uses, and the few words a freestanding C program needs. */
#ifndef TYPES_H
#define TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed short s16;
typedef signed int s32;
typedef signed long long s64;

#define PAGE_SIZE 4096u
#define PAGE_MASK 0xfffff000u
#define ROUND_UP(value, unit) (((value) + (unit) - 1) & ~((unit) - 1))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NULL ((void *)0)

#define barrier() __asm__ volatile("" ::: "memory")

/* Divides without the compiler's 64-bit helper, which a freestanding 32-bit program does not have. */
static inline u64 divide(u64 value, u32 by, u32 *remainder) {
  u32 high = (u32)(value >> 32) / by;
  u32 rest = (u32)(value >> 32) % by;
  u32 low;
  __asm__("divl %4" : "=a"(low), "=d"(rest) : "0"((u32)value), "1"(rest), "rm"(by));
  if (remainder)
    *remainder = rest;
  return (u64)high << 32 | low;
}

static inline u64 rdtsc(void) {
  u64 ticks;
  __asm__ volatile("rdtsc" : "=A"(ticks));
  return ticks;
}

#endif
