/**
 * The pointers to the last x87 instruction and its operand beside this machine's processor, for the random runs leave them out: what a
 * processor holds before a case depends on its kernel. Selectors of 0 are no difference: a 64-bit kernel loses them when it
 * switches tasks, and processors of today that deprecate them store none.
 */
import { expect, it } from "vitest";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import { DATA, overlay, STACK } from "../drivers/cpu-driver.ts";
import { createNativeOracle, DATA_BYTES, ENTRY, type NativeInput } from "../drivers/native.ts";
import { ENVIRONMENT_AT } from "../drivers/random-x87.ts";

const ENVIRONMENT_BYTES = 28;
const FNSTENV = [0xd9, 0x35, ...little(ENVIRONMENT_AT)];
const INT3 = [0xcc];

function little(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

/** What runs between FNINIT, FLDPI and FNSTENV. EBX points to DATA, EBP to STACK. */
const CODES: readonly (readonly [name: string, code: readonly number[]])[] = [
  ["FLD1", [0xd9, 0xe8]],
  ["FSIN", [0xd9, 0xfe]],
  ["FADD ST(0), ST(0)", [0xd8, 0xc0]],
  ["FNOP", [0xd9, 0xd0]],
  ["FXCH", [0xd9, 0xc9]],
  ["FFREE", [0xdd, 0xc7]],
  ["FCOMI", [0xdb, 0xf0]],
  ["FLD m32", [0xd9, 0x03]],
  ["FLD m64", [0xdd, 0x43, 0x08]],
  ["FLD m80", [0xdb, 0x6b, 0x10]],
  ["FILD m16 under a prefix", [0x66, 0xdf, 0x03]],
  ["FBLD", [0xdf, 0x23]],
  ["FST m64", [0xdd, 0x53, 0x20]],
  ["FISTP m32", [0xdb, 0x5b, 0x20]],
  ["FADD m64 through SS", [0xdc, 0x45, 0x40]],
  ["FADD m64 through SS by a prefix", [0x36, 0xdc, 0x43, 0x40]],
  ["FADD m64 through CS by a prefix", [0x2e, 0xdc, 0x43, 0x40]],
  ["a load, then a register form", [0xd9, 0x03, 0xd9, 0xe1]],
  ["a load, then what is not remembered", [0xd9, 0x03, 0xdb, 0xe2, 0xdf, 0xe0, 0xd9, 0x7b, 0x20]],
];

const oracle = createNativeOracle();
if ("record" in oracle) {
  const driver = createCoreDriver();
  it.each(CODES)("%s", (_, code) => {
    const regs = new Uint32Array(8);
    regs.set([DATA.address + 0x100, STACK.address + 0x1800, STACK.address + 0x800], 3);
    const input: NativeInput = {
      name: "pointers",
      code: Uint8Array.from([0xdb, 0xe3, 0xd9, 0xeb, ...code, ...FNSTENV, ...INT3]),
      codeAt: ENTRY,
      regs,
      flags: 0,
      segs: undefined,
      fx: undefined,
      data: new Uint8Array(DATA_BYTES),
      isApprox: false,
      undefinedFlags: () => 0,
    };
    const [test] = oracle.record([input]);
    const silicon = new Uint8Array(STACK.bytes);
    overlay(silicon, STACK.address, test!.changes);
    expect(pointersOf(silicon).fip).toBeGreaterThan(ENTRY);
    expect(pointersOf(driver.run(test!).stack, pointersOf(silicon))).toEqual(pointersOf(silicon));
  });
} else it.skip(`no oracle: ${oracle.reason}`, () => {});

interface Pointers {
  readonly fip: number;
  readonly fcs: number;
  readonly fop: number;
  readonly fdp: number;
  readonly fds: number;
}

/** @param lost whose selectors of 0 are taken over */
function pointersOf(stack: Uint8Array, lost?: Pointers): Pointers {
  const at = ENVIRONMENT_AT - STACK.address;
  const view = new DataView(stack.buffer, stack.byteOffset + at, ENVIRONMENT_BYTES);
  return {
    fip: view.getUint32(12, true),
    fcs: lost?.fcs === 0 ? 0 : view.getUint16(16, true),
    fop: view.getUint16(18, true),
    fdp: view.getUint32(20, true),
    fds: lost?.fds === 0 ? 0 : view.getUint16(24, true),
  };
}
