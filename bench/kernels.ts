/** The compute kernels of bench/guest/kernels.c, in the order of its table. */

/** One kernel. `rounds` is what one measurement runs: about 50 million guest instructions. */
export interface Kernel {
  readonly name: string;
  readonly rounds: number;
  readonly about: string;
}

export const KERNELS: readonly Kernel[] = [
  { name: "sieve", rounds: 40, about: "primes below 65536: byte stores in short loops" },
  { name: "crc", rounds: 300, about: "CRC-32 by table over 16 KiB" },
  { name: "fib", rounds: 500, about: "recursion: calls, returns and the stack" },
  { name: "sort", rounds: 40, about: "quicksort of 4096 words, comparing through a pointer" },
  { name: "copy", rounds: 1000, about: "32 KiB copied word by word" },
  { name: "vm", rounds: 500, about: "a bytecode interpreter: indirect jumps" },
];

/** One step of a plan: which kernel, and how many rounds of it. */
export interface Step {
  readonly kernel: string;
  readonly rounds: number;
}

/** What one step gave. */
export interface Measurement {
  readonly kernel: string;
  readonly checksum: string;
  /** On-CPU time of the thread that ran the guest, in milliseconds. */
  readonly cpuMs: number;
  /** Guest instructions, as the system itself counts them: ours exactly. */
  readonly instructions: number;
}
