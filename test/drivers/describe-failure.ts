/** A failing case as text: bytes, disassembly, what went in, what was expected and found. */
import type { Disassembler } from "../../host-ts/debug/disasm.ts";
import type { Failure } from "./run-vectors.ts";

/** Bytes of memory shown of a piece. */
const SHOWN_BYTES = 32;

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** Where code changes its default size, from its start on. */
export type CodeSizes = readonly (readonly [at: number, bits: 16 | 32])[];

/** Several lines, indented. A 16-bit code segment of the LDT is the only reason for 16-bit code to begin with. */
export function describeFailure(
  disassembler: Disassembler,
  { test, differences }: Failure,
  sizes: CodeSizes = [[0, test.before.segs[1] === 0x4f ? 16 : 32]],
): string {
  const lines = sizes.flatMap(([at, bits], i) =>
    disassembler.decode(test.code.subarray(at, sizes[i + 1]?.[0]), test.before.eip + at, { bits }),
  );
  const regs = [...test.before.regs].map(hex).join(" ");
  const memory = test.memory.map((piece) => {
    const bytes = Buffer.from(piece.bytes);
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
    return `${hex(piece.address)}=${bytes.toString("hex", 0, Math.min(used, SHOWN_BYTES))}`;
  });
  const { fx } = test.before;
  const registers = (name: string, values: readonly Uint8Array[]) =>
    values.flatMap((value, i) =>
      value.some((byte) => byte !== 0) ? [`${name}${i} ${Buffer.from(value).toString("hex")}`] : [],
    );
  return [
    `  ${test.name}${test.isSoft ? " (soft)" : ""}: ${Buffer.from(test.code).toString("hex")}`,
    ...lines.map((line) => `      ${hex(line.address)}  ${line.text}`),
    `    in   ${regs} flags ${test.before.flags.toString(16)}`,
    ...(test.hasSegs ? [`    segs ${test.before.segs.map((s) => s.toString(16)).join(" ")}`] : []),
    ...(memory.length > 0 ? [`    mem  ${memory.join(" ")}`] : []),
    ...(fx === undefined
      ? []
      : [
          `    fx   fcw ${hex(fx.fcw)} fsw ${hex(fx.fsw)} ftw ${hex(fx.ftw)} mxcsr ${hex(fx.mxcsr)}`,
          ...[...registers("st", fx.st), ...registers("xmm", fx.xmm)].map(
            (text) => `         ${text}`,
          ),
        ]),
    ...differences.map((line) => `    ${line}`),
  ].join("\n");
}
