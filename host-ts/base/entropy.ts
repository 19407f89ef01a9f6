/** Random bytes for guests: a seeded stream in virtual time, the platform's generator in real time. */

import type { Entropy } from "./ports.ts";

/** The same bytes from the same seed, on every platform (xorshift128 by Marsaglia, seeded by splitmix32). Not for secrets. */
export class SeededEntropy implements Entropy {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    let mix = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let word = Math.imul(mix ^ (mix >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      this.#state[i] = word ^ (word >>> 15);
    }
    // All zeroes is the one state that never leaves itself.
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#next() >>> 24;
  }

  save(): Record<string, unknown> {
    return { xorshift: [...this.#state] };
  }

  restore(state: Record<string, unknown>): void {
    this.#state.set(state.xorshift as number[]);
  }

  #next(): number {
    const s = this.#state;
    let t = s[3]!;
    const head = s[0]!;
    s[3] = s[2]!;
    s[2] = s[1]!;
    s[1] = head;
    t ^= t << 11;
    t ^= t >>> 8;
    s[0] = t ^ head ^ (head >>> 19);
    return s[0]!;
  }
}

/** The platform's cryptographic generator. */
export class PlatformEntropy implements Entropy {
  fill(bytes: Uint8Array): void {
    // getRandomValues takes at most 65,536 bytes at once, and no view of shared memory.
    for (let at = 0; at < bytes.length; at += 65536) {
      const chunk = new Uint8Array(Math.min(65536, bytes.length - at));
      crypto.getRandomValues(chunk);
      bytes.set(chunk, at);
    }
  }

  /** The platform keeps its state to itself. */
  save(): Record<string, unknown> {
    return {};
  }

  restore(_state: Record<string, unknown>): void {}
}
