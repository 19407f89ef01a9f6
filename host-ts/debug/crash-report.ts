/**
 * What a person needs to see when a guest was killed: the reason, the registers, the code at EIP and who called it.
 * Everything is taken from the report that was captured at the moment of death; nothing here reads guest memory.
 */
import type { Registers } from "../base/vcpu-block.ts";
import type { CrashReport } from "../guest/crash-report.ts";
import type { Disassembler } from "./disasm.ts";
import { SymbolTable } from "./symbols.ts";

/** What helps to read a report; all of it optional. */
export interface CrashAids {
  readonly symbols?: SymbolTable | undefined;
  readonly disassembler?: Disassembler | undefined;
  /** Most lines of backtrace; default 16. */
  readonly maxFrames?: number | undefined;
}

/** One line of a backtrace. A frame found by scanning the stack is a guess, one found through EBP is not. */
export interface BacktraceFrame {
  readonly address: number;
  readonly isGuess: boolean;
  readonly name: string | undefined;
}

const FLAG_NAMES: [number, string][] = [
  [0, "CF"],
  [2, "PF"],
  [4, "AF"],
  [6, "ZF"],
  [7, "SF"],
  [8, "TF"],
  [9, "IF"],
  [10, "DF"],
  [11, "OF"],
  [14, "NT"],
  [16, "RF"],
  [18, "AC"],
  [21, "ID"],
];

/* Mastery 010: how a dead guest is read.
 *
 * A kill by hypercall leaves EIP behind the call, so the report shows the code before EIP as well; x86 cannot be decoded
 * backwards, so decoding starts at the function's symbol, or at the farthest byte from which instructions meet EIP exactly. Kernels
 * are built without frame pointers more often than not: the chain is followed while it makes sense, and what else on the stack
 * points into code is listed with a question mark, as the kernel's own oops does.
 */

/**
 * Renders a crash report of some 20 to 40 lines, without a final newline.
 * @param title what happened, for instance "guest killed"
 */
export function renderCrashReport(title: string, crash: CrashReport, aids: CrashAids = {}): string {
  const symbols = aids.symbols ?? new SymbolTable([]);
  const lines = [
    `${title}: ${crash.reason.trimEnd()}`,
    `  after ${crash.instructions.toLocaleString("en-US")} instructions${crash.vcpu === undefined ? "" : `, on vCPU ${crash.vcpu}`}`,
    "",
    ...registerLines(crash.registers, symbols),
    "",
    "code:",
    ...codeLines(crash, aids),
  ];
  const frames = backtrace(crash, symbols, aids.maxFrames ?? 16);
  if (frames.length > 0) {
    lines.push("", "backtrace:");
    for (const { address, isGuess, name } of frames) {
      lines.push(`  [${word(address)}] ${isGuess ? "? " : ""}${name ?? ""}`.trimEnd());
    }
  }
  return lines.join("\n");
}

function registerLines(r: Registers, symbols: SymbolTable): string[] {
  const flags = FLAG_NAMES.filter(([bit]) => (r.eflags >>> bit) & 1).map(([, name]) => name);
  const iopl = (r.eflags >>> 12) & 3;
  if (iopl > 0) flags.push(`IOPL=${iopl}`);
  const name = symbols.format(r.eip);
  const row = (...cells: [string, number][]): string =>
    `  ${cells.map(([label, value]) => `${label.padEnd(3)} ${word(value)}`).join("  ")}`;
  const selector = (label: string, value: number): string => `${label} ${hex(value, 4)}`;
  const selectors = [
    selector("CS", r.cs),
    selector("SS", r.ss),
    selector("DS", r.ds),
    selector("ES", r.es),
    selector("FS", r.fs),
    selector("GS", r.gs),
  ];
  return [
    `  EIP ${word(r.eip)}  CPL ${r.cpl}${name === undefined ? "" : `  <${name}>`}`,
    row(["EAX", r.eax], ["EBX", r.ebx], ["ECX", r.ecx], ["EDX", r.edx]),
    row(["ESI", r.esi], ["EDI", r.edi], ["EBP", r.ebp], ["ESP", r.esp]),
    `  ${selectors.join("  ")}`,
    row(["CR0", r.cr0], ["CR2", r.cr2], ["CR3", r.cr3], ["CR4", r.cr4]),
    `  EFLAGS ${word(r.eflags)}  ${flags.join(" ")}`.trimEnd(),
  ];
}

/** Linear addresses, which are offsets in flat segments. */
function codeLines(crash: CrashReport, aids: CrashAids): string[] {
  const { registers, code, codeSegment } = crash;
  const lin = (registers.eip + codeSegment.base) >>> 0;
  const split = lin - code.lin;
  if (split < 0 || split >= code.bytes.length) return ["  (no memory is mapped at EIP)"];
  if (aids.disassembler === undefined) {
    const text = [...code.bytes].map((byte, index) =>
      index === split ? `<${hex(byte, 2)}>` : hex(byte, 2),
    );
    return [`  ${text.join(" ")}`];
  }
  const { bits } = codeSegment;
  const options = aids.symbols === undefined ? { bits } : { bits, symbols: aids.symbols };
  return aids.disassembler.decodeAround(code.bytes, code.lin, lin, options).map((line) => {
    const bytes = [...line.bytes].map((byte) => hex(byte, 2)).join(" ");
    return `${line.address === lin ? "=>" : "  "} ${word(line.address)}  ${bytes.padEnd(24)} ${line.text}`;
  });
}

/**
 * Who called whom: first along the chain of frame pointers as far as it makes sense, then, because kernels are often built
 * without them, every stack word above that points into code.
 */
export function backtrace(crash: CrashReport, symbols: SymbolTable, max: number): BacktraceFrame[] {
  const { stack, registers } = crash;
  const view = new DataView(stack.bytes.buffer, stack.bytes.byteOffset, stack.bytes.byteLength);
  const end = stack.lin + stack.bytes.length;
  const wordAt = (lin: number): number => view.getUint32(lin - stack.lin, true);
  const frames: BacktraceFrame[] = [];
  const add = (address: number, isGuess: boolean): void => {
    frames.push({ address, isGuess, name: symbols.format(address) });
  };
  let reached = stack.lin;
  let frame = registers.ebp;
  while (frames.length < max && frame >= reached && frame + 8 <= end && frame % 4 === 0) {
    const caller = wordAt(frame + 4);
    if (!symbols.isEmpty && !symbols.isCode(caller)) break;
    add(caller, false);
    reached = frame + 8;
    const next = wordAt(frame);
    if (next <= frame) break;
    frame = next;
  }
  if (symbols.isEmpty) return frames;
  const aligned = Math.ceil(reached / 4) * 4;
  for (let lin = aligned; lin + 4 <= end && frames.length < max; lin += 4) {
    const value = wordAt(lin);
    if (symbols.isCode(value)) add(value, true);
  }
  return frames;
}

function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).padStart(digits, "0");
}

function word(value: number): string {
  return hex(value, 8);
}
