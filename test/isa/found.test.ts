/** What random runs against silicon once found wrong: each case with what the processor did. */
import { describe, expect, it } from "vitest";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import type { FxState, VectorCase } from "../drivers/nv1.ts";

const EMPTY: FxState = {
  fcw: 0x37f,
  fsw: 0,
  ftw: 0,
  mxcsr: 0x1f80,
  st: Array.from({ length: 8 }, () => new Uint8Array(10)),
  xmm: Array.from({ length: 8 }, () => new Uint8Array(16)),
};
const driver = createCoreDriver();

function run(code: readonly number[], esi: number, state: Partial<FxState> = {}) {
  const regs = new Uint32Array(8).with(6, esi);
  const segs = [0x2b, 0x23, 0x2b, 0x2b, 0, 0];
  const before = { regs, eip: 0x00100800, flags: 0, segs, fx: { ...EMPTY, ...state } };
  const test: VectorCase = {
    name: "",
    code: Uint8Array.from(code),
    isSoft: false,
    isApprox: false,
    hasSegs: false,
    before,
    memory: [],
    vector: 3,
    error: undefined,
    cr2: undefined,
    after: before,
    undefinedFlags: 0,
    undefinedFsw: 0,
    changes: [],
    ignored: [],
  };
  return driver.run(test);
}

/** An XMM register with a single in its lowest lane. */
function xmm(low: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, low, true);
  return bytes;
}

describe("FRSTOR that faults", () => {
  const frstor = [0xdd, 0x26];
  it.each([
    { what: "nothing there", esi: 0x16, vector: 14, cr2: 0x16 },
    { what: "its end missing", esi: 0x00203fe2, vector: 14, cr2: 0x0020404a },
    { what: "past the address space", esi: 0xfffffff5, vector: 14, cr2: 0xfffffff5 },
    { what: "past the address space with its first dword", esi: 0xfffffffd, vector: 13, cr2: 0 },
  ])("reports what silicon reports: $what", ({ esi, vector, cr2 }) => {
    expect(run(frstor, esi)).toMatchObject({ vector, cr2 });
  });
});

describe("a 16-bit double shift by more than 16", () => {
  const CF = 1;
  it.each([
    { what: "SHRD SI, AX, 19", code: [0x66, 0x0f, 0xac, 0xc6, 19], result: 0x87a6 },
    { what: "SHLD SI, AX, 19", code: [0x66, 0x0f, 0xa4, 0xc6, 19], result: 0xe9a1 },
  ])("takes the source twice and clears CF, as AMD processors do: $what", ({ code, result }) => {
    // MOV AX, 0x3d34 first.
    const outcome = run([0x66, 0xb8, 0x34, 0x3d, ...code], 0x5678);
    expect(outcome.regs[6]).toBe(result);
    expect(outcome.flags & CF).toBe(0);
  });
});

describe("#XM", () => {
  it("of a conversion to MMX leaves the x87 registers in MMX use", () => {
    const state = { mxcsr: 0x0000, fsw: 0x2000, xmm: EMPTY.xmm.with(2, xmm(0x3dcccccd)) };
    // CVTPS2PI MM1, XMM2: 0.1 is not exact.
    const outcome = run([0x0f, 0x2d, 0xca], 0, state);
    expect(outcome.vector).toBe(19);
    expect(outcome.fx).toMatchObject({ fsw: 0, ftw: 0xff });
  });
  it("of a conversion from MMX, likewise", () => {
    const inexact = Uint8Array.from([1, 0, 0, 1, 0, 0, 0, 0x80, 0xff, 0xff]);
    const state = { mxcsr: 0, ftw: 1, st: EMPTY.st.with(0, inexact) };
    // CVTPI2PS XMM3, MM0: 0x01000001 has 25 bits.
    const outcome = run([0x0f, 0x2a, 0xd8], 0, state);
    expect(outcome.vector).toBe(19);
    expect(outcome.fx?.ftw).toBe(0xff);
  });
  it("of an overflow comes without PE when the quotient is exact", () => {
    const registers = EMPTY.xmm.with(7, xmm(0xc32b17da)).with(1, xmm(0x00000080));
    // DIVSS XMM7, XMM1 with OE unmasked.
    const outcome = run([0xf3, 0x0f, 0x5e, 0xf9], 0, { mxcsr: 0x1b80, xmm: registers });
    expect(outcome.vector).toBe(19);
    expect(outcome.fx?.mxcsr).toBe(0x1b8a);
  });
});

describe("RCPSS", () => {
  it.each([
    [0x7e800000, 0],
    [0xfe800000, 0x80000000],
    [0x7e7fffff, 0x00800000],
  ])("of %i flushes from 2^126 on", (operand, estimate) => {
    // RCPSS XMM1, XMM0.
    const outcome = run([0xf3, 0x0f, 0x53, 0xc8], 0, { xmm: EMPTY.xmm.with(0, xmm(operand)) });
    expect(outcome.fx?.xmm[1]).toEqual(xmm(estimate));
  });
});
