/**
 * Builds the two benchmark guests with gcc: the kernels are compiled once and linked into a lguest guest and into a
 * multiboot kernel, at the same address. A plan is written into a built image before it starts.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, sourceFiles } from "../tools/files.ts";
import { findGcc } from "../tools/guest-build.ts";
import { KERNELS, type Step } from "./kernels.ts";

/** How the kernels are compiled; part of a result's description. */
export const KERNEL_FLAGS = "-m32 -O2 -march=i686 -mno-sse -fno-pic -ffreestanding";
const FLAGS = [
  ...KERNEL_FLAGS.split(" "),
  ..."-std=gnu11 -Wall -Wextra -Werror -fno-pie -fno-stack-protector".split(" "),
  ..."-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns".split(" "),
  "-Iguests/include",
  "-Iguests/lib",
];
const LINK = "-nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack".split(" ");
const OUTPUT = "build/bench";
const MAGIC = "benchmark-plan:\0";
const MAX_STEPS = 64;

/** A guest image: for wasmvisor ("lguest") or for v86 ("multiboot"). */
export type ImageKind = "lguest" | "multiboot";

/** There is no gcc that can make 32-bit code. */
export class NoCompilerError extends Error {}

/**
 * Builds both images. @returns the major version of gcc.
 * @throws NoCompilerError without a suitable gcc; an Error with gcc's output when it fails.
 */
export function buildImages(): string {
  const gcc = findGcc();
  if ("missing" in gcc) {
    throw new NoCompilerError(
      `the benchmark compiles its kernels, and ${gcc.missing}; on Debian: apt-get install gcc gcc-multilib`,
    );
  }
  mkdirSync(join(ROOT, OUTPUT), { recursive: true });
  const compile = (...args: string[]) =>
    execFileSync("gcc", [...FLAGS, ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const kernels = `${OUTPUT}/kernels.o`;
  compile("-c", "-o", kernels, "bench/guest/kernels.c");
  const link = (kind: ImageKind, ...sources: string[]) =>
    compile(
      ...LINK,
      "-Wl,-T,bench/guest/guest.lds",
      ...["-o", imageFile(kind), "bench/guest/plan.c", kernels],
      ...sources.map((path) => (path.includes("/") ? path : `bench/guest/${path}`)),
    );
  link("lguest", "lguest.c", ...sourceFiles(["guests/lib"], [".c", ".S"]));
  link("multiboot", "multiboot.S", "multiboot.c", "guests/lib/text.c");
  return gcc.major;
}

function imageFile(kind: ImageKind): string {
  return `${OUTPUT}/${kind}.elf`;
}

/** @returns an image that will run `steps`, at most 64. @throws when it has no place for a plan. */
export function withPlan(kind: ImageKind, steps: readonly Step[]): Uint8Array<ArrayBuffer> {
  if (steps.length > MAX_STEPS) throw new Error(`a plan has at most ${MAX_STEPS} steps`);
  const planned = new Uint8Array(readFileSync(join(ROOT, imageFile(kind))));
  const at = Buffer.from(planned.buffer).indexOf(MAGIC, 0, "latin1");
  if (at < 0) throw new Error("the image has no plan to fill in");
  const words = new DataView(planned.buffer, at + MAGIC.length);
  words.setUint32(0, steps.length, true);
  for (const [index, step] of steps.entries()) {
    const kernel = KERNELS.findIndex(({ name }) => name === step.kernel);
    if (kernel < 0) throw new Error(`there is no kernel "${step.kernel}"`);
    words.setUint32(4 + 8 * index, kernel, true);
    words.setUint32(8 + 8 * index, step.rounds, true);
  }
  return planned;
}
