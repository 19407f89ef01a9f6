/** The choices of docs/reference/undefined-behaviour.md for flags and results, so that no tier drifts from them. */
import { describe, expect, it } from "vitest";
import { EXIT_HALT } from "../../abi/vcpu.ts";
import {
  EFLAGS_AF,
  EFLAGS_ARITH,
  EFLAGS_CF,
  EFLAGS_FIXED,
  EFLAGS_OF,
  EFLAGS_PF,
  EFLAGS_SF,
  EFLAGS_ZF,
  REG_EAX,
} from "../../abi/x86.ts";
import { BareMachine } from "../drivers/bare-machine.ts";

const machine = new BareMachine();
/** Runs `code` with EAX, ECX, EDX, EBX and EFLAGS as given. @returns EAX and the arithmetic flags. */
function run(code: readonly number[], regs: readonly number[], flags: number): [number, number] {
  // PUSH flags; POPF, and HLT behind the code.
  const word = [0, 8, 16, 24].map((shift) => ((flags | EFLAGS_FIXED) >>> shift) & 0xff);
  machine.load([0x68, ...word, 0x9d, ...code], [...regs, 0x8000]);
  expect(machine.run()[0]).toBe(EXIT_HALT);
  return [machine.vcpu.gpr(REG_EAX), machine.vcpu.eflags & EFLAGS_ARITH];
}
const flagsOf = (code: readonly number[], regs: readonly number[], flags = EFLAGS_ARITH) =>
  run(code, regs, flags)[1];

describe("flags that the manual leaves open", () => {
  it("AF is 0 after logic and shifts", () => {
    for (const code of [
      [0x21, 0xc0],
      [0xa9, 1, 0, 0, 0],
      [0xd1, 0xe0],
      [0xc1, 0xf8, 3],
    ]) {
      expect(flagsOf(code, [5, 0, 0, 0]) & EFLAGS_AF).toBe(0);
    }
  });

  it("MUL and one-operand IMUL keep SF, ZF, AF and PF; DIV and IDIV keep all", () => {
    const kept = EFLAGS_SF | EFLAGS_ZF | EFLAGS_AF | EFLAGS_PF;
    for (const flags of [0, EFLAGS_ARITH]) {
      for (const code of [
        [0xf7, 0xe3],
        [0xf7, 0xeb],
        [0xf6, 0xe3],
      ]) {
        expect(flagsOf(code, [3, 0, 0, 5], flags)).toBe(flags & kept);
      }
      for (const code of [
        [0xf7, 0xf3],
        [0xf7, 0xfb],
        [0xf6, 0xf3],
      ]) {
        expect(flagsOf(code, [13, 0, 0, 5], flags)).toBe(flags);
      }
    }
  });

  it("IMUL with two or three operands sets SF, ZF and PF from the result, at both sizes", () => {
    for (const code of [
      [0x0f, 0xaf, 0xc3],
      [0x66, 0x0f, 0xaf, 0xc3],
      [0x6b, 0xc3, 3],
      [0x66, 0x6b, 0xc3, 3],
    ]) {
      expect(flagsOf(code, [3, 0, 0, -1])).toBe(EFLAGS_SF);
      expect(flagsOf(code, [3, 0, 0, 0])).toBe(EFLAGS_ZF | EFLAGS_PF);
    }
  });

  it("BSF and BSR clear CF, OF and AF; BT keeps what is not CF", () => {
    const cleared = EFLAGS_CF | EFLAGS_OF | EFLAGS_AF;
    for (const opcode of [0xbc, 0xbd]) {
      expect(flagsOf([0x0f, opcode, 0xc3], [0, 0, 0, 6]) & cleared).toBe(0);
    }
    expect(flagsOf([0x0f, 0xa3, 0xcb], [0, 1, 0, 0])).toBe(EFLAGS_ARITH & ~EFLAGS_CF);
  });

  it("SHL and SHR by the width take the last bit; SAR has OF 0", () => {
    // CL = 8, 9 on BL = 0x81.
    for (const op of [0xe3, 0xeb]) {
      expect(flagsOf([0xd2, op], [0, 8, 0, 0x81], 0) & EFLAGS_CF).toBe(EFLAGS_CF);
      expect(flagsOf([0xd2, op], [0, 9, 0, 0x81], 0) & EFLAGS_CF).toBe(0);
    }
    expect(flagsOf([0xd2, 0xfb], [0, 2, 0, 0x81]) & EFLAGS_OF).toBe(0);
  });
});

describe("results that the manual leaves open", () => {
  it("BSF and BSR of 0 leave the destination", () => {
    for (const opcode of [0xbc, 0xbd]) {
      expect(run([0x0f, opcode, 0xc3], [0x1234, 0, 0, 0], 0)).toEqual([
        0x1234,
        EFLAGS_ZF | EFLAGS_PF,
      ]);
    }
  });

  it("BSWAP of 16 bits gives 0 and keeps the upper half", () => {
    expect(run([0x66, 0x0f, 0xc8], [0x12345678, 0, 0, 0], 0)[0]).toBe(0x12340000);
  });

  it("SHLD of 16 bits by more than 16 repeats the source, as AMD processors do", () => {
    // SHLD AX, BX, 20: 5678 9abc 9abc shifted left by 20.
    expect(run([0x66, 0x0f, 0xa4, 0xd8, 20], [0x5678, 0, 0, 0x9abc], 0)[0]).toBe(0xabc9);
  });
});
