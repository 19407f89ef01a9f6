/*
 * The compute kernels: ordinary C at ring 3. Compiled once; the same object goes into the guest of each system, at the
 * same address. Each takes a number of rounds and returns a checksum that depends on every one of them.
 */
#include "kernels.h"

#define SIEVE_SIZE 65536
#define CRC_BYTES 16384
#define SORT_WORDS 4096
#define COPY_WORDS 8192

static u8 composite[SIEVE_SIZE];

/* Primes below 65536: byte stores with growing strides. */
u32 bench_sieve(u32 rounds) {
  u32 count = 0;
  while (rounds--) {
    for (u32 i = 0; i < SIEVE_SIZE; i++)
      composite[i] = 0;
    for (u32 i = 2; i < SIEVE_SIZE; i++) {
      if (composite[i])
        continue;
      count += i ^ rounds;
      for (u32 multiple = i + i; multiple < SIEVE_SIZE; multiple += i)
        composite[multiple] = 1;
    }
  }
  return count;
}

static u32 crc_table[256];
static u8 crc_input[CRC_BYTES];

/* CRC-32 by table: loads, shifts, xors. */
u32 bench_crc(u32 rounds) {
  for (u32 i = 0; i < 256; i++) {
    u32 value = i;
    for (u32 bit = 0; bit < 8; bit++)
      value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
    crc_table[i] = value;
  }
  for (u32 i = 0; i < CRC_BYTES; i++)
    crc_input[i] = (u8)(i * 7 + (i >> 8));
  u32 crc = 0xffffffff;
  while (rounds--)
    for (u32 i = 0; i < CRC_BYTES; i++)
      crc = crc >> 8 ^ crc_table[(crc ^ crc_input[i]) & 255];
  return ~crc;
}

/* Not inlined into itself, so that what is measured is calls, returns and the stack. */
static __attribute__((noinline, optimize("no-optimize-sibling-calls", "no-inline"))) u32 fibonacci(u32 n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

u32 bench_fib(u32 rounds) {
  u32 sum = 0;
  while (rounds--)
    sum = sum * 31 + fibonacci(18 + (rounds & 1));
  return sum;
}

typedef int (*order_t)(const void *left, const void *right);

static int by_value(const void *left, const void *right) {
  u32 l = *(const u32 *)left, r = *(const u32 *)right;
  return (l > r) - (l < r);
}

static int by_low_bits(const void *left, const void *right) {
  u32 l = *(const u32 *)left & 0xffff, r = *(const u32 *)right & 0xffff;
  return (l > r) - (l < r);
}

static order_t volatile orders[2] = {by_value, by_low_bits};

/* Quicksort of words, comparing through a pointer as the library's qsort does. */
static void sort(u32 *base, s32 low, s32 high, order_t order) {
  while (low < high) {
    u32 pivot = base[(low + high) / 2];
    s32 left = low, right = high;
    while (left <= right) {
      while (order(&base[left], &pivot) < 0)
        left++;
      while (order(&base[right], &pivot) > 0)
        right--;
      if (left <= right) {
        u32 swapped = base[left];
        base[left++] = base[right];
        base[right--] = swapped;
      }
    }
    if (right - low < high - left) {
      sort(base, low, right, order);
      low = left;
    } else {
      sort(base, left, high, order);
      high = right;
    }
  }
}

static u32 sort_words[SORT_WORDS];

u32 bench_sort(u32 rounds) {
  u32 seed = 12345, sum = 0;
  while (rounds--) {
    for (u32 i = 0; i < SORT_WORDS; i++) {
      seed = seed * 1664525 + 1013904223;
      sort_words[i] = seed >> 4;
    }
    sort(sort_words, 0, SORT_WORDS - 1, orders[rounds & 1]);
    for (u32 i = 0; i < SORT_WORDS; i += 64)
      sum = sum * 33 + sort_words[i];
  }
  return sum;
}

static u32 copy_from[COPY_WORDS], copy_to[COPY_WORDS];

/* A copy loop in C: one load and one store for each word. */
u32 bench_copy(u32 rounds) {
  u32 sum = 0;
  for (u32 i = 0; i < COPY_WORDS; i++)
    copy_from[i] = i * 2654435761u;
  while (rounds--) {
    copy_from[rounds % COPY_WORDS] ^= rounds;
    for (u32 i = 0; i < COPY_WORDS; i++)
      copy_to[i] = copy_from[i];
    sum = sum * 31 + copy_to[rounds * 7919 % COPY_WORDS];
  }
  return sum;
}

enum { OP_PUSH, OP_ADD, OP_XOR, OP_SHIFT, OP_DUP, OP_SWAP, OP_STORE, OP_LOAD, OP_DECREMENT, OP_LOOP, OP_END };

/* A loop that mixes variable 0 with the counter in variable 1. */
static const u8 bytecode[] = {
    OP_LOAD, 0, OP_PUSH, 17, OP_ADD, OP_DUP, OP_SHIFT, 5, OP_XOR, OP_LOAD, 1, OP_SWAP, OP_ADD,
    OP_STORE, 0, OP_DECREMENT, 1, OP_LOOP, 1, 0, OP_END,
};

/* A bytecode interpreter: one indirect jump for every few instructions. */
static __attribute__((noinline)) u32 interpret(u32 first, u32 times) {
  u32 variables[2] = {first, times};
  u32 stack[8], *top = stack;
  for (const u8 *pc = bytecode;;) {
    switch (*pc++) {
    case OP_PUSH: *top++ = *pc++; break;
    case OP_ADD: top--; top[-1] += *top; break;
    case OP_XOR: top--; top[-1] ^= *top; break;
    case OP_SHIFT: top[-1] >>= *pc++; break;
    case OP_DUP: *top = top[-1]; top++; break;
    case OP_SWAP: { u32 word = top[-1]; top[-1] = top[-2]; top[-2] = word; break; }
    case OP_STORE: variables[*pc++ & 1] = *--top; break;
    case OP_LOAD: *top++ = variables[*pc++ & 1]; break;
    case OP_DECREMENT: variables[*pc++ & 1]--; break;
    case OP_LOOP: pc = variables[pc[0] & 1] ? bytecode + pc[1] : pc + 2; break;
    default: return variables[0];
    }
  }
}

u32 bench_vm(u32 rounds) {
  u32 value = 1;
  while (rounds--)
    value = interpret(value, 1000);
  return value;
}
