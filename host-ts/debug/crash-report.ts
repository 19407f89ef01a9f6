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

/**
 * Renders a crash report of some 20 to 40 lines, without a final newline.
 * @param title what happened, for instance "guest killed"
 */
export function renderCrashReport(title: string, crash: CrashReport, aids: CrashAids = {}): string {
  const symbols = aids.symbols ?? new SymbolTable([]);
  const lines = [
    `${title}: ${crash.reason}`,
    `  after ${crash.instructions.toLocaleString("en-US")} instructions`,
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

function codeLines({ codeLin, codeBefore, code }: CrashReport, aids: CrashAids): string[] {
  if (code.length === 0) return ["  (no memory is mapped at EIP)"];
  if (aids.disassembler === undefined) {
    const text = (bytes: Uint8Array): string => [...bytes].map((byte) => hex(byte, 2)).join(" ");
    return [`  ${text(codeBefore)} <${text(code.subarray(0, 1))}> ${text(code.subarray(1))}`];
  }
  const options = aids.symbols === undefined ? {} : { symbols: aids.symbols };
  return aids.disassembler.decodeAround(codeBefore, code, codeLin, options).map((line) => {
    const bytes = [...line.bytes].map((byte) => hex(byte, 2)).join(" ");
    return `${line.address === codeLin ? "=>" : "  "} ${word(line.address)}  ${bytes.padEnd(24)} ${line.text}`;
  });
}

/**
 * Who called whom: the chain of frame pointers as far as it leads into code, then, because kernels are often built without
 * them, every other stack word that points into code, as a guess.
 */
export function backtrace(crash: CrashReport, symbols: SymbolTable, max: number): BacktraceFrame[] {
  const frame = (address: number, isGuess: boolean): BacktraceFrame => ({
    address,
    isGuess,
    name: symbols.format(address),
  });
  if (symbols.isEmpty) return crash.backtrace.slice(0, max).map((address) => frame(address, false));
  const firstWild = crash.backtrace.findIndex((address) => !symbols.isCode(address));
  const callers = crash.backtrace.slice(0, firstWild < 0 ? undefined : firstWild);
  const guesses = crash.stack.filter((value) => symbols.isCode(value) && !callers.includes(value));
  return [
    ...callers.map((address) => frame(address, false)),
    ...guesses.map((address) => frame(address, true)),
  ].slice(0, max);
}

function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).padStart(digits, "0");
}

function word(value: number): string {
  return hex(value, 8);
}
