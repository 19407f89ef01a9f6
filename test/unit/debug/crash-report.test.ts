import { expect, test } from "vitest";
import type { Registers } from "../../../host-ts/base/vcpu-block.ts";
import { backtrace, renderCrashReport } from "../../../host-ts/debug/crash-report.ts";
import { loadDisassembler } from "../../../host-ts/debug/disasm.ts";
import { SymbolTable } from "../../../host-ts/debug/symbols.ts";
import type { CrashReport } from "../../../host-ts/guest/crash-report.ts";

const ZERO: Registers = {
  ...{ eax: 0, ecx: 0, edx: 0, ebx: 0, esp: 0, ebp: 0, esi: 0, edi: 0, eip: 0, eflags: 2 },
  ...{ cs: 0x61, ss: 0x69, ds: 0x69, es: 0x69, fs: 0, gs: 0 },
  ...{ cr0: 0, cr2: 0, cr3: 0, cr4: 0, cpl: 1 },
};
const SYMBOLS = new SymbolTable([
  { name: "main", address: 0xc1000000, size: 0x100 },
  { name: "helper", address: 0xc1000100, size: 0x100 },
]);

function crash(over: Partial<CrashReport> & { at?: Partial<Registers> }): CrashReport {
  return {
    reason: "Bad hypercall 99",
    registers: { ...ZERO, ...over.at },
    code: over.code ?? { lin: 0, bytes: new Uint8Array(0) },
    codeSegment: over.codeSegment ?? { base: 0, bits: 32 },
    instructions: 1_234_567,
    vcpu: undefined,
    stack: over.stack ?? { lin: 0, bytes: new Uint8Array(0) },
  };
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

test("the vCPU is named in a guest of several", () => {
  expect(renderCrashReport("guest killed", { ...crash({}), vcpu: 2 })).toContain(
    "instructions, on vCPU 2\n",
  );
});

test("the report names the reason, the registers and the symbol at EIP", () => {
  const text = renderCrashReport(
    "guest killed",
    crash({ at: { eip: 0xc1000104, eax: 0xdeadbeef, eflags: 0x246 } }),
    { symbols: SYMBOLS },
  );
  expect(text).toContain("guest killed: Bad hypercall 99\n  after 1,234,567 instructions\n");
  expect(text).toContain("EIP c1000104  CPL 1  <helper+0x4/0x100>");
  expect(text).toContain("EAX deadbeef");
  expect(text).toContain("PF ZF IF");
});

test("code that is not mapped is said to be so", () => {
  expect(renderCrashReport("guest killed", crash({ at: { eip: 0x1234 } }))).toContain(
    "no memory is mapped at EIP",
  );
});

test("without a disassembler the bytes are shown with EIP marked", () => {
  const code = { lin: 0x1000, bytes: Uint8Array.of(0x90, 0xcd, 0x1f) };
  expect(renderCrashReport("guest killed", crash({ at: { eip: 0x1001 }, code }))).toContain(
    "90 <cd> 1f",
  );
});

test("code of a 16-bit segment with a base is found there and read as such", async () => {
  // mov ax, 0x1234; out 0xe9, al
  const code = { lin: 0xf0100, bytes: Uint8Array.of(0xb8, 0x34, 0x12, 0xe6, 0xe9) };
  const text = renderCrashReport(
    "guest killed",
    crash({ at: { eip: 0x103 }, code, codeSegment: { base: 0xf0000, bits: 16 } }),
    { disassembler: await loadDisassembler() },
  );
  expect(text).toMatch(/ {3}000f0100 .*mov ax,.*\n=> 000f0103 .*out /);
});

test("with a disassembler the instruction at EIP is marked and branch targets are named", async () => {
  // nop; int 0x1f; call helper
  const code = {
    lin: 0xc1000000,
    bytes: Uint8Array.of(0x90, 0xcd, 0x1f, 0xe8, 0xf8, 0, 0, 0, 0xf4),
  };
  const disassembler = await loadDisassembler();
  const text = renderCrashReport("guest killed", crash({ at: { eip: 0xc1000001 }, code }), {
    symbols: SYMBOLS,
    disassembler,
  });
  expect(text).toMatch(/ {3}c1000000 {2}90 +nop/);
  expect(text).toMatch(/=> c1000001 {2}cd 1f +int 0x1f/);
  expect(text).toContain("call 0xc1000100  <helper+0x0/0x100>");
});

test("the backtrace follows frame pointers, then guesses from the stack", () => {
  const stack = {
    lin: 0x8000,
    bytes: words(0, 0x8010, 0xc1000105, 0, 0, 0xc1000011, 0x1234, 0xc1000120),
  };
  const frames = backtrace(crash({ at: { ebp: 0x8004 }, stack }), SYMBOLS, 16);
  expect(frames.map(({ name, isGuess }) => [name, isGuess])).toEqual([
    ["helper+0x5/0x100", false],
    ["main+0x11/0x100", false],
    ["helper+0x20/0x100", true],
  ]);
});

test("a frame-pointer chain that loops or leaves the stack ends", () => {
  const stack = { lin: 0x8000, bytes: words(0x8000, 0xc1000001) };
  expect(backtrace(crash({ at: { ebp: 0x8000 }, stack }), SYMBOLS, 16)).toHaveLength(1);
  expect(backtrace(crash({ at: { ebp: 0xfffffffc }, stack }), new SymbolTable([]), 16)).toEqual([]);
});
