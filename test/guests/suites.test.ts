/**
 * Programs of others as processes of a Linux guest: what they print is what they print on this machine's processor.
 * QEMU's i386 test program comes from WASMVISOR_TEST_I386, more of their kind from the folder WASMVISOR_I386_PROGRAMS, Berkeley
 * TestFloat from WASMVISOR_TESTFLOAT: static 32-bit programs (docs/status.md, "Tests that skip").
 * There are two Linuxes: one on lguest, and Debian's own kernel on the plain machine. Only the latter has an LDT, so QEMU's program is
 * built twice, for that one whole (WASMVISOR_TEST_I386_SEGS). Its part in virtual-8086 mode needs a kernel with the system call vm86,
 * which no distribution's has any more (WASMVISOR_VM86_KERNEL, WASMVISOR_TEST_I386_VM86).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Cpu } from "../../host-ts/guest/options.ts";
import { createGuest, type GuestOptions } from "../../host-ts/index.ts";
import { debianFile, missingDebianGuests, STOCK_COMMAND_LINE } from "../drivers/debian-guests.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const TIME_LIMIT_MS = 10 * 60_000;
const RAM_BYTES = 256 << 20;
/** QEMU's programs use SSE3 and SSE4.1; and a processor whose only floating-point vectors are four floats. */
const CPU = "core2";
const CPU_SSE = "pentium3";
const NUMERIC_FLAGS = "-m32 -static -fno-pie -no-pie -O2 -march=pentium3 -mfpmath=sse";
/** Programs that print more than a guest's console should carry, and how many of their lines are compared. */
const LONG_OUTPUT: ReadonlyMap<string, number> = new Map([["test-i386-fprem", 20_000]]);
const START = "---- start";
const END = "---- end";
const {
  WASMVISOR_I386_BUSYBOX: BUSYBOX = missingDebianGuests ? undefined : debianFile("rd/bin/busybox"),
  WASMVISOR_TEST_I386: TEST_I386,
  WASMVISOR_TEST_I386_SEGS: TEST_I386_SEGS,
  WASMVISOR_TEST_I386_VM86: TEST_I386_VM86,
  WASMVISOR_VM86_KERNEL: VM86_KERNEL,
  WASMVISOR_I386_PROGRAMS: PROGRAMS,
  WASMVISOR_TESTFLOAT: TESTFLOAT,
} = process.env;
const LGUEST_KERNEL =
  process.env.WASMVISOR_LGUEST_KERNEL_PCI ?? process.env.WASMVISOR_LGUEST_KERNEL_PAGE;

/** A Linux that runs the programs. */
interface Linux {
  readonly name: string;
  /** Why it is not there. */
  readonly missing: string | undefined;
  readonly kernel: string;
  readonly options: Partial<GuestOptions>;
}

const LGUEST: Linux = {
  name: "on lguest",
  missing: LGUEST_KERNEL ? undefined : "no WASMVISOR_LGUEST_KERNEL_PCI or _PAGE is set",
  kernel: LGUEST_KERNEL ?? "",
  options: { commandLine: "job=extra quiet" },
};
const STOCK: Linux = {
  name: "from Debian on a plain machine",
  missing: missingDebianGuests,
  kernel: debianFile("vmlinux-686-pae"),
  options: { abi: "bare", commandLine: `${STOCK_COMMAND_LINE} job=extra quiet` },
};

const VM86: Linux = {
  name: "with vm86 on a plain machine",
  missing: VM86_KERNEL ? undefined : "WASMVISOR_VM86_KERNEL is not set",
  kernel: VM86_KERNEL ?? "",
  options: { abi: "bare", commandLine: "console=ttyS0 job=extra quiet" },
};
/** What a kernel without vm86 makes the program print, and what its 16-bit part prints where there is one. */
const NO_VM86 = "ERROR: unhandled vm86 return code (0xffffffff)";
const VM86_LINES =
  "Hello VM86 world/00000046/00000246/INT90 started/VM86 IF test/00000246/00000046/00000246/00000046/00000246".split(
    "/",
  );

/** Floating-point, big-number, digest and compression work by busybox. */
const WORKLOAD = `
seq 1 20000 | awk '{ s += $1 / 7.3 - s / 11.7 * 0.9; p = p * 1.01 + $1; if (NR % 1000 == 0) { printf "%.15g %.12e %d\\n", s, p, s * 1000; p = 1 / s } }'
echo 'scale=60; 4*a(1); e(1); sqrt(2); l(10); 2^500 % 1000007' | bc -l
seq 1 50000 | sha256sum
seq 1 50000 | gzip -9 | tail -c +11 | sha256sum
seq 1 50000 | gzip -1 | gunzip | sha256sum
`;
/** Functions of TestFloat that the x87 computes: with 80 bits, and conversions. */
const TESTFLOAT_FUNCTIONS =
  "i32_to_extF80 i64_to_extF80 f32_to_extF80 f64_to_extF80 extF80_to_f32 extF80_to_f64 extF80_to_i32_r_minMag extF80_to_i64_r_minMag extF80_add extF80_sub extF80_mul extF80_div extF80_eq extF80_le extF80_lt f32_add f64_mul f64_div f64_sqrt f64_eq".split(
    " ",
  );

function oneEach(commands: readonly string[]): string {
  return commands.map((c) => `${c} >out 2>&1 </dev/null; echo "== ${c}: $?"; cat out`).join("\n");
}

/** The code of a SIGTRAP tells which Linux it is, not which processor. */
const TRAP_CODE = /(si_signo=5 .*si_code=)\d+/g;

/** Lines of what a script prints, between the marks. */
function linesOf(output: string): string[] {
  const lines = output.replaceAll("\r", "").replace(TRAP_CODE, "$1").split("\n");
  return lines.slice(lines.indexOf(START) + 1, lines.lastIndexOf(END));
}

function runNatively(script: string, programs: ReadonlyMap<string, Uint8Array>): string[] {
  const folder = mkdtempSync(join(tmpdir(), "wasmvisor-suite-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, bytes] of programs) writeFileSync(join(folder, name), bytes, { mode: 0o755 });
  // The guest's shell and tools, not the host's.
  for (const tool of ["sh", "cat", ..."seq awk bc sha256sum gzip gunzip head tail".split(" ")]) {
    writeFileSync(join(folder, tool), `#!/bin/sh\nexec ${BUSYBOX} ${tool} "$@"\n`, { mode: 0o755 });
  }
  const options = { cwd: folder, env: { PATH: folder }, maxBuffer: 1 << 28 };
  return linesOf(execFileSync(BUSYBOX!, ["sh", "-c", script], options).toString("latin1"));
}

async function runInGuest(
  linux: Linux,
  script: string,
  programs: ReadonlyMap<string, Uint8Array>,
  cpu: Cpu,
): Promise<string[]> {
  const extra = new Map([...programs, ["run", Buffer.from(script)]]);
  const guest = await createGuest({
    ...linux.options,
    kernel: readFileSync(linux.kernel),
    initrd: buildInitrd(readFileSync(BUSYBOX!), extra),
    memoryBytes: RAM_BYTES,
    cpu,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const parts: string[] = [];
  guest.on("output", (bytes) => parts.push(Buffer.from(bytes).toString("latin1")));
  await guest.run();
  const text = parts.join("");
  expect(text).toContain("FINISHED");
  return linesOf(text);
}

async function expectSameAsNative(
  linux: Linux,
  script: string,
  programs: ReadonlyMap<string, Uint8Array> = new Map(),
  cpu: Cpu = CPU,
): Promise<void> {
  const marked = `echo "${START}"\n${script}\necho "${END}"\n`;
  const native = runNatively(marked, programs).flatMap((line) =>
    linux === VM86 && line === NO_VM86 ? VM86_LINES : [line],
  );
  const found = await runInGuest(linux, marked, programs, cpu);
  expect(native.length).toBeGreaterThan(1);
  const [expected, got] = [outputs(native), outputs(found)];
  const report = [...expected].flatMap(([command, lines]) => {
    const other = got.get(command) ?? [];
    const at = lines.findIndex((line, i) => other[i] !== line);
    if (at < 0 && other.length === lines.length) return [];
    return [`${command}: line ${at + 1}: expected ${lines[at]}, found ${other[at]}`];
  });
  expect(report).toEqual([]);
  expect([...got.keys()]).toEqual([...expected.keys()]);
}

/** Lines by the command that printed them; the first of each is its exit status. */
function outputs(lines: readonly string[]): Map<string, string[]> {
  const byCommand = new Map<string, string[]>();
  let current: string[] = [];
  byCommand.set("", current);
  for (const line of lines) {
    const [, command, status] = /^== (.*): (\d+)$/.exec(line) ?? [];
    if (command === undefined) current.push(line);
    else {
      current = [`exit status ${status}`];
      byCommand.set(command, current);
    }
  }
  return byCommand;
}

/** @returns the path of sse-numeric.c's program for a Pentium III, undefined without a gcc that makes 32-bit programs. */
function buildNumeric(): string | undefined {
  const build = fileURLToPath(new URL("../../build/", import.meta.url));
  mkdirSync(build, { recursive: true });
  const program = join(build, "sse-numeric");
  const source = fileURLToPath(new URL("sse-numeric.c", import.meta.url));
  const gcc = spawnSync("gcc", [...NUMERIC_FLAGS.split(" "), "-o", program, source]);
  return gcc.status === 0 ? program : undefined;
}

function missing(linux: Linux, program: string | undefined, otherwise: string): string | false {
  if (process.platform !== "linux" || process.arch !== "x64") return "the host is no x86-64 Linux";
  if (BUSYBOX === undefined) return "WASMVISOR_I386_BUSYBOX is not set";
  if (linux.missing !== undefined) return linux.missing;
  if (program === undefined) return otherwise;
  return spawnSync(BUSYBOX, ["true"]).status === 0 ? false : "the host runs no 32-bit programs";
}

function suite(
  name: string,
  linux: Linux,
  program: string | undefined,
  otherwise: string,
  run: (program: string) => Promise<void>,
): void {
  const reason = missing(linux, program, otherwise);
  const title = `${name}, in a Linux ${linux.name}`;
  describe.skipIf(reason)(reason ? `${title} (${reason})` : title, () => {
    test("prints what it prints here", () => run(program!), TIME_LIMIT_MS);
  });
}

const workload = (linux: Linux, cpu: Cpu, program: string | undefined) =>
  suite(
    `awk, bc, sha256sum and gzip on a ${cpu}`,
    linux,
    program,
    "WASMVISOR_I386_BUSYBOX is not set",
    () => expectSameAsNative(linux, WORKLOAD, new Map(), cpu),
  );
workload(LGUEST, CPU, BUSYBOX);
workload(LGUEST, CPU_SSE, BUSYBOX);
workload(STOCK, CPU, BUSYBOX);

suite(
  "a program that computes with SSE",
  LGUEST,
  buildNumeric(),
  "no gcc -m32 -static",
  (program) =>
    expectSameAsNative(
      LGUEST,
      oneEach(["./sse-numeric"]),
      new Map([["sse-numeric", readFileSync(program)]]),
      CPU_SSE,
    ),
);

for (const [what, linux, file, variable] of [
  ["", LGUEST, TEST_I386, "WASMVISOR_TEST_I386"],
  [" with segments", STOCK, TEST_I386_SEGS, "WASMVISOR_TEST_I386_SEGS"],
  [" with virtual-8086 mode", VM86, TEST_I386_VM86, "WASMVISOR_TEST_I386_VM86"],
] as const) {
  const title = `QEMU's i386 instruction tests${what}`;
  suite(title, linux, file, `${variable} is not set`, (program) => {
    const programs = new Map([["test-i386", readFileSync(program)]]);
    return expectSameAsNative(linux, oneEach(["./test-i386"]), programs);
  });
}

for (const linux of [LGUEST, STOCK]) {
  suite("further programs", linux, PROGRAMS, "WASMVISOR_I386_PROGRAMS is not set", (folder) => {
    const names = readdirSync(folder);
    const programs = new Map(names.map((name) => [name, readFileSync(join(folder, name))]));
    const commands = names.map((name) => {
      const lines = LONG_OUTPUT.get(name);
      return lines === undefined ? `./${name}` : `./${name} | head -n ${lines}`;
    });
    return expectSameAsNative(linux, oneEach(commands), programs);
  });
}

suite("Berkeley TestFloat", LGUEST, TESTFLOAT, "WASMVISOR_TESTFLOAT is not set", (program) => {
  const commands = TESTFLOAT_FUNCTIONS.map((name) => `./testfloat -level 1 ${name}`);
  const programs = new Map([["testfloat", readFileSync(program)]]);
  return expectSameAsNative(LGUEST, oneEach(commands), programs);
});
