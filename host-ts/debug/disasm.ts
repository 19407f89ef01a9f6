/**
 * Disassembly for people, through the iced-x86 library, which is loaded at first use only: it is a second WebAssembly module,
 * and a guest that lives never needs it.
 */
import type { SymbolTable } from "./symbols.ts";

/** One instruction; `address` is linear. A byte sequence that is no instruction has the text "(bad)". */
export interface DisassembledLine {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

type Iced = typeof import("iced-x86");

/** Longest x86 instruction in bytes. */
const MAX_INSTRUCTION_BYTES = 15;

/** Loads the library. */
export async function loadDisassembler(): Promise<Disassembler> {
  const module = (await import("iced-x86")) as Iced & { default?: Iced };
  return new Disassembler(module.default ?? module);
}

/** Decodes and formats in Intel syntax. */
export class Disassembler {
  readonly #iced: Iced;

  constructor(iced: Iced) {
    this.#iced = iced;
  }

  /**
   * Decodes at most `max` instructions from the start of `bytes`; the last one may be cut short and is then left out.
   * @param lin linear address of the first byte
   * @param bits default operand and address size of the code segment, 16 or 32
   * @param symbols names branch targets
   */
  decode(
    bytes: Uint8Array,
    lin: number,
    options: { bits?: 16 | 32; max?: number; symbols?: SymbolTable } = {},
  ): DisassembledLine[] {
    const iced = this.#iced;
    const decoder = new iced.Decoder(options.bits ?? 32, bytes, iced.DecoderOptions.None);
    const formatter = new iced.Formatter(iced.FormatterSyntax.Intel);
    formatter.hexPrefix = "0x";
    formatter.hexSuffix = "";
    formatter.uppercaseHex = false;
    formatter.spaceAfterOperandSeparator = true;
    const instruction = new iced.Instruction();
    const lines: DisassembledLine[] = [];
    try {
      decoder.ip = BigInt(lin);
      while (decoder.canDecode && lines.length < (options.max ?? Number.POSITIVE_INFINITY)) {
        const at = decoder.position;
        decoder.decodeOut(instruction);
        if (decoder.lastError === iced.DecoderError.NoMoreBytes) break;
        const isBad = instruction.code === iced.Code.INVALID;
        const length = isBad ? 1 : instruction.length;
        if (isBad) decoder.position = at + 1;
        const address = (lin + at) >>> 0;
        decoder.ip = BigInt((lin + at + length) >>> 0);
        const text = isBad ? "(bad)" : formatter.format(instruction);
        const target = isBad ? undefined : this.#branchTarget(instruction);
        const name = target === undefined ? undefined : options.symbols?.format(target);
        lines.push({
          address,
          bytes: bytes.slice(at, at + length),
          text: name === undefined ? text : `${text}  <${name}>`,
        });
      }
    } finally {
      instruction.free();
      formatter.free();
      decoder.free();
    }
    return lines;
  }

  /**
   * Decodes so that one instruction starts exactly at `eip`, with up to `before` instructions in front of it. Where the function
   * starts inside `bytes`, decoding starts there; otherwise the start is a guess: the farthest one that leads to `eip` without
   * a bad instruction.
   */
  decodeAround(
    bytes: Uint8Array,
    lin: number,
    eip: number,
    options: { bits?: 16 | 32; before?: number; after?: number; symbols?: SymbolTable } = {},
  ): DisassembledLine[] {
    const split = eip - lin;
    const decoding = {
      bits: options.bits ?? 32,
      ...(options.symbols === undefined ? {} : { symbols: options.symbols }),
    };
    const after = this.decode(bytes.subarray(split), eip, { ...decoding, max: options.after ?? 6 });
    const before = options.before ?? 4;
    const farthest = Math.max(0, split - before * MAX_INSTRUCTION_BYTES);
    const starts = Array.from({ length: split - farthest }, (_, index) => farthest + index);
    const functionStart = split - (options.symbols?.locate(eip)?.offset ?? split + 1);
    if (functionStart >= 0) starts.unshift(functionStart);
    for (const start of before > 0 ? starts : []) {
      const lines = this.decode(bytes.subarray(start, split), lin + start, decoding);
      const last = lines.at(-1);
      const isAligned = last !== undefined && last.address + last.bytes.length === eip;
      if (isAligned && !lines.some((line) => line.text === "(bad)")) {
        return [...lines.slice(-before), ...after];
      }
    }
    return after;
  }

  #branchTarget(instruction: InstanceType<Iced["Instruction"]>): number | undefined {
    const kind = instruction.op0Kind;
    const { OpKind } = this.#iced;
    const isNear = kind === OpKind.NearBranch16 || kind === OpKind.NearBranch32;
    return isNear ? Number(instruction.nearBranchTarget) : undefined;
  }
}
