/**
 * Programs of others as processes of a Linux guest: what they print is what they print on this machine's processor.
 * QEMU's i386 test program comes from WASMVISOR_TEST_I386, more of their kind from the folder WASMVISOR_I386_PROGRAMS, Berkeley
 * TestFloat from WASMVISOR_TESTFLOAT: static 32-bit programs (docs/status.md, "Tests that skip").
 * QEMU's is built without TEST_SEGS: a Linux on lguest has no LDT.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Cpu } from "../../host-ts/guest/options.ts";
import { createGuest } from "../../host-ts/index.ts";
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
  WASMVISOR_I386_BUSYBOX: BUSYBOX,
  WASMVISOR_TEST_I386: TEST_I386,
  WASMVISOR_I386_PROGRAMS: PROGRAMS,
  WASMVISOR_TESTFLOAT: TESTFLOAT,
} = process.env;
const KERNEL =
  process.env.WASMVISOR_LGUEST_KERNEL_PCI ?? process.env.WASMVISOR_LGUEST_KERNEL_PAGE ?? "";

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
  script: string,
  programs: ReadonlyMap<string, Uint8Array>,
  cpu: Cpu,
): Promise<string[]> {
  const extra = new Map([...programs, ["run", Buffer.from(script)]]);
  const guest = await createGuest({
    kernel: readFileSync(KERNEL),
    initrd: buildInitrd(readFileSync(BUSYBOX!), extra),
    commandLine: "job=extra quiet",
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
  script: string,
  programs: ReadonlyMap<string, Uint8Array> = new Map(),
  cpu: Cpu = CPU,
): Promise<void> {
  const marked = `echo "${START}"\n${script}\necho "${END}"\n`;
  const native = runNatively(marked, programs);
  const found = await runInGuest(marked, programs, cpu);
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

function missing(program: string | undefined, otherwise: string): string | false {
  if (process.platform !== "linux" || process.arch !== "x64") return "the host is no x86-64 Linux";
  if (BUSYBOX === undefined) return "WASMVISOR_I386_BUSYBOX is not set";
  if (KERNEL === "") return "no WASMVISOR_LGUEST_KERNEL_PCI or _PAGE is set";
  if (program === undefined) return otherwise;
  return spawnSync(BUSYBOX, ["true"]).status === 0 ? false : "the host runs no 32-bit programs";
}

function suite(
  name: string,
  program: string | undefined,
  otherwise: string,
  run: (program: string) => Promise<void>,
): void {
  const reason = missing(program, otherwise);
  describe.skipIf(reason)(reason ? `${name} (${reason})` : name, () => {
    test("prints in a Linux guest what it prints here", () => run(program!), TIME_LIMIT_MS);
  });
}

suite("awk, bc, sha256sum and gzip", BUSYBOX, "WASMVISOR_I386_BUSYBOX is not set", async () => {
  await expectSameAsNative(WORKLOAD);
  await expectSameAsNative(WORKLOAD, new Map(), CPU_SSE);
});

suite("a program that computes with SSE", buildNumeric(), "no gcc -m32 -static", (program) =>
  expectSameAsNative(
    oneEach(["./sse-numeric"]),
    new Map([["sse-numeric", readFileSync(program)]]),
    CPU_SSE,
  ),
);

suite("QEMU's i386 instruction tests", TEST_I386, "WASMVISOR_TEST_I386 is not set", (program) =>
  expectSameAsNative(oneEach(["./test-i386"]), new Map([["test-i386", readFileSync(program)]])),
);

suite("further programs", PROGRAMS, "WASMVISOR_I386_PROGRAMS is not set", (folder) => {
  const names = readdirSync(folder);
  const programs = new Map(names.map((name) => [name, readFileSync(join(folder, name))]));
  const commands = names.map((name) => {
    const lines = LONG_OUTPUT.get(name);
    return lines === undefined ? `./${name}` : `./${name} | head -n ${lines}`;
  });
  return expectSameAsNative(oneEach(commands), programs);
});

suite("Berkeley TestFloat", TESTFLOAT, "WASMVISOR_TESTFLOAT is not set", (program) => {
  const commands = TESTFLOAT_FUNCTIONS.map((name) => `./testfloat -level 1 ${name}`);
  return expectSameAsNative(oneEach(commands), new Map([["testfloat", readFileSync(program)]]));
});
