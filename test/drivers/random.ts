/** Seeded pseudo-random numbers for tests, and operands that find carries, signs and wraps. */

/** A seeded generator of 32-bit numbers (xorshift). */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed >>> 0) ^ 0x9e3779b9 || 1;
  }
  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
  /** An integer in [0, n). */
  below(n: number): number {
    return this.u32() % n;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** Values that make carries, signs and wraps happen more often than chance would. */
const EDGES = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** A register value or immediate. */
export function interesting(random: Random): number {
  return random.below(3) === 0 ? random.pick(EDGES) : random.u32();
}

/** Little-endian bytes of a value. */
export function little(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);
}
