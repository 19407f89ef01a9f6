/**
 * Random code in segments of the LDT: 16-bit and 32-bit code, expand-down and short data segments, selectors of every kind, far
 * transfers between code segments. The descriptors are those of cpu-core.ts (the vectors' FORMAT.md).
 */
import { CODE } from "./cpu-driver.ts";
import { interesting, little, type Random } from "./random.ts";
import { AF, ALL, type Bits, CF, type Label, type Piece, withFlagsDefined } from "./random-code.ts";

const local = (index: number) => index * 8 + 7;
const FLAT_DATA = 0x2b;
const FLAT_CODE = 0x23;
const DATA_SELECTORS = [1, 1, 1, 2, 3, 4, 5, 15, 16, 18].map(local);
/** Code that can be entered: 32-bit, execute-only, 16-bit, short. */
const CODE_SELECTORS = [local(7), local(8), local(9), local(9), local(17)];
const STACK_SELECTORS = [FLAT_DATA, local(12), local(13), local(14)];
/** Null, absent, empty, past the table, of another kind, of another privilege. */
const ODD_SELECTORS = [
  0,
  1,
  3,
  ...[0, 6, 7, 8, 9, 10, 11, 14, 19, 20, 8191].map(local),
  FLAT_DATA,
  FLAT_CODE,
  0x10,
  0x13,
  0x18,
  0x1b,
  0x28,
  0xfffb,
  local(1) - 1,
  local(1) - 3,
  local(13) - 1,
];
const LONG_ENOUGH = 0x400;
const SS_FRAME = 0x1800;

/** Segment registers and where to start: what a case needs beside its pieces. */
export interface SegmentedCase {
  readonly pieces: readonly Piece[];
  /** ES CS SS DS FS GS. */
  readonly segs: readonly number[];
  readonly esp: number;
  readonly ebp: number;
}

function bitsOf(cs: number): Bits {
  return cs === local(9) ? 16 : 32;
}

function baseOf(cs: number): number {
  return cs === FLAT_CODE ? 0 : CODE.address;
}

/** Writes one piece after the other, for the code segment that is in force there. */
class SegmentedCode {
  readonly pieces: Piece[] = [];
  readonly #random: Random;
  readonly #isWideStack: boolean;
  #cs: number;

  constructor(random: Random, cs: number, isWideStack: boolean) {
    this.#random = random;
    this.#cs = cs;
    this.#isWideStack = isWideStack;
  }

  get #bits(): Bits {
    return bitsOf(this.#cs);
  }

  /** Operand-size prefix. */
  #size(size: number, bits: Bits = this.#bits): number[] {
    return size !== 8 && size !== bits ? [0x66] : [];
  }

  #add(bytes: readonly number[], about: Omit<Piece, "bytes"> = {}): void {
    this.pieces.push({ ...about, bytes, bits: this.#bits });
  }

  /** A memory operand with a register field: prefixes and form. */
  #memory(reg: number): { prefix: number[]; form: number[] } {
    const r = this.#random;
    const is16 = (r.below(4) > 0 ? this.#bits : 48 - this.#bits) === 16;
    const segment = r.pick([[], [], [], [], [0x26], [0x2e], [0x36], [0x3e], [0x64], [0x65]]);
    const prefix = [...(is16 === (this.#bits === 16) ? [] : [0x67]), ...segment];
    const offset = r.pick([
      0x400 + r.below(0x100),
      0x400 + r.below(0x100),
      0x1000 + r.below(8) - 5,
      0x4000 + r.below(8) - 5,
      0xff0 + r.below(10),
      0x10000 - r.below(6),
      0x1ffc + r.below(5),
      r.below(0x4000),
    ]);
    const small = r.below(256);
    if (is16) {
      const rm = r.below(8);
      const forms = [
        [0x06 | (reg << 3), ...little(offset, 2)],
        [0x06 | (reg << 3), ...little(offset, 2)],
        [0x40 | (reg << 3) | rm, small],
        [0x80 | (reg << 3) | rm, ...little(offset, 2)],
        [(reg << 3) | (rm === 6 ? 7 : rm), ...[]],
      ];
      return { prefix, form: r.pick(forms) };
    }
    const forms = [
      [0x05 | (reg << 3), ...little(offset, 4)],
      [0x05 | (reg << 3), ...little(offset, 4)],
      [0x43 | (reg << 3), small],
      [0x45 | (reg << 3), small],
      [0x86 | (reg << 3), ...little(r.below(0x100), 4)],
      [0x44 | (reg << 3), 0x03 | (r.pick([0, 1, 2, 4, 6, 7]) << 3), small],
    ];
    return { prefix, form: r.pick(forms) };
  }

  /** Register form, or memory. */
  #operand(reg: number): { prefix: number[]; form: number[] } {
    const r = this.#random;
    return r.below(3) === 0
      ? { prefix: [], form: [0xc0 | (reg << 3) | r.below(8)] }
      : this.#memory(reg);
  }

  #width(): { size: number; wide: number } {
    return this.#random.pick([
      { size: 8, wide: 0 },
      { size: 16, wide: 1 },
      { size: 32, wide: 1 },
    ]);
  }

  arithmetic(): void {
    const r = this.#random;
    const op = r.pick([0, 0, 5, 7, 1, 4, 6]);
    const { size, wide } = this.#width();
    const isLogic = op === 1 || op === 4 || op === 6;
    const about = { defines: isLogic ? ALL & ~AF : ALL, leaves: isLogic ? AF : 0 };
    if (r.below(3) === 0) {
      const { prefix, form } = this.#operand(op);
      const immediate = little(interesting(r), size / 8);
      this.#add([...prefix, ...this.#size(size), 0x80 | wide, ...form, ...immediate], about);
      return;
    }
    const { prefix, form } = this.#operand(r.below(8));
    const opcode = (op << 3) | (r.below(2) << 1) | wide;
    this.#add([...prefix, ...this.#size(size), opcode, ...form], about);
  }

  move(): void {
    const r = this.#random;
    const { size, wide } = this.#width();
    const { prefix, form } = this.#operand(r.below(8));
    const opcode = r.pick([[0x88], [0x8a], [0x88], [0x8a], [0x86], [0x0f, 0xb6], [0x0f, 0xbe]]);
    const last = opcode.at(-1)! | wide;
    // MOVZX and MOVSX have no 8-bit destination: there the size says what is read.
    const prefixes = opcode.length > 1 ? this.#size(r.pick([16, 32])) : this.#size(size);
    this.#add([...prefix, ...prefixes, ...opcode.slice(0, -1), last, ...form]);
  }

  lea(): void {
    const { prefix, form } = this.#memory(this.#random.pick([0, 1, 2]));
    this.#add([...prefix, ...this.#size(this.#random.pick([16, 32])), 0x8d, ...form]);
  }

  stack() {
    const r = this.#random;
    const size = r.pick([16, 32]);
    const p = this.#size(size);
    switch (r.below(6)) {
      case 0:
        return this.#add([...p, 0x50 | r.below(8)]);
      case 1:
        return this.#add([...p, 0x58 | r.pick([0, 1, 2, 3, 6, 7])]);
      case 2:
        return this.#add([...p, 0x68, ...little(r.u32(), size / 8)]);
      case 3:
        return this.#add([...p, 0x60]);
      case 4: {
        const { prefix, form } = this.#memory(6);
        return this.#add([...prefix, ...p, 0xff, ...form]);
      }
      default: {
        // MOV EBP, ESP; ENTER; LEAVE: a frame pointer that is good.
        const depth = r.pick([0, 1, 2, 5]);
        const leave = r.below(2) === 0 ? [...p, 0xc9] : [];
        const enter = [...p, 0xc8, ...little(r.below(32), 2), depth];
        return this.#add([...this.#size(32), 0x89, 0xe5, ...enter, ...leave]);
      }
    }
  }

  string(): void {
    const r = this.#random;
    const { size, wide } = this.#width();
    const base = r.pick([0xa4, 0xaa, 0xac, 0xae]);
    const segment = r.pick([[], [], [0x26], [0x2e], [0x36], [0x64]]);
    const address = r.below(3) === 0 ? [0x67] : [];
    const count =
      this.#bits === 16
        ? [0xb9, ...little(1 + r.below(20), 2)]
        : [0xb9, ...little(1 + r.below(20), 4)];
    // With 16-bit addresses CX counts, else all of ECX: make both the same.
    const clear = [...this.#size(32), 0x31, 0xc9];
    const repeat = r.below(2) === 0 ? [] : [r.pick([0xf2, 0xf3])];
    this.#add(
      [...clear, ...count, ...address, ...segment, ...repeat, ...this.#size(size), base | wide],
      { defines: ALL, leaves: base === 0xae ? 0 : AF },
    );
  }

  /** A selector into ES, SS, DS, FS or GS, by MOV, POP or a far pointer on the stack. */
  load() {
    const r = this.#random;
    const s = r.pick([0, 2, 3, 4, 5]);
    const usual = s === 2 ? STACK_SELECTORS : DATA_SELECTORS;
    const selector = r.below(4) === 0 ? r.pick(ODD_SELECTORS) : r.pick(usual);
    const push = [...this.#size(16), 0x68, ...little(selector, 2)];
    const pop = [[0x07], [], [0x17], [0x1f], [0x0f, 0xa1], [0x0f, 0xa9]][s]!;
    switch (r.below(3)) {
      case 0:
        return this.#add([...this.#size(16), 0xb8, ...little(selector, 2), 0x8e, 0xc0 | (s << 3)]);
      case 1:
        return this.#add([...push, ...this.#size(16), ...pop]);
      default: {
        if (!this.#isWideStack) return this.#add([...push, ...this.#size(16), ...pop]);
        // PUSH selector; PUSH offset (32 bits); LxS ECX, [ESP].
        const opcode = [[0xc4], [], [0x0f, 0xb2], [0xc5], [0x0f, 0xb4], [0x0f, 0xb5]][s]!;
        const offset = [...this.#size(32), 0x68, ...little(r.u32(), 4)];
        const a32 = this.#bits === 16 ? [0x67] : [];
        return this.#add([...push, ...offset, ...a32, ...this.#size(32), ...opcode, 0x0c, 0x24]);
      }
    }
  }

  /** MOV and PUSH of a segment register; LAR, LSL, VERR, VERW; ARPL. */
  ask() {
    const r = this.#random;
    const p = this.#size(r.pick([16, 32]));
    const selector = r.pick([...DATA_SELECTORS, ...CODE_SELECTORS, ...ODD_SELECTORS.slice(0, 12)]);
    const load = [...this.#size(16), 0xb8, ...little(selector, 2)];
    switch (r.below(5)) {
      case 0:
        return this.#add([...p, 0x8c, 0xc0 | (r.below(6) << 3) | r.pick([0, 1, 2])]);
      case 1:
        return this.#add([
          ...p,
          ...r.pick([[0x06], [0x0e], [0x16], [0x1e], [0x0f, 0xa0], [0x0f, 0xa8]]),
        ]);
      case 2:
        return this.#add([...load, ...this.#size(16), 0x0f, r.pick([0x02, 0x03]), 0xc8], {
          defines: 0x40,
        });
      case 3:
        return this.#add([...load, 0x0f, 0x00, r.pick([0xe0, 0xe8])], { defines: 0x40 });
      default:
        return this.#add([...load, 0x63, 0xc0 | (r.pick([0, 1, 2]) << 3) | r.pick([0, 1, 2])], {
          defines: 0x40,
        });
    }
  }

  /** CALL, RET, LOOP and JCXZ with both operand and address sizes. */
  near() {
    const r = this.#random;
    // In flat code EIP needs all its bits.
    const size = this.#cs === FLAT_CODE ? 32 : r.pick([16, 32]);
    const p = this.#size(size);
    const skip = (bytes: number) => little(bytes, size / 8);
    if (r.below(3) > 0) {
      const ret = [...p, ...r.pick([[0xc3], [0xc2, 2 * r.below(4), 0]])];
      // CALL over the jump behind it; there RET comes back to the jump.
      return this.#add([...p, 0xe8, ...skip(2), 0xeb, ret.length, ...ret]);
    }
    const address = r.pick([[], [0x67]]);
    const dec = r.below(2) === 0 ? [] : p;
    this.#add([...(this.#cs === FLAT_CODE ? [] : dec), ...address, r.pick([0xe2, 0xe3]), 1, 0x40], {
      defines: ALL & ~CF,
    });
  }

  /** Into another code segment and on from there: JMP, RETF, IRET; or CALL and back. */
  far() {
    const r = this.#random;
    const selector =
      r.below(6) === 0 ? r.pick(ODD_SELECTORS) : r.pick([...CODE_SELECTORS, FLAT_CODE]);
    const isGood = CODE_SELECTORS.includes(selector) || selector === FLAT_CODE;
    const size = selector === FLAT_CODE || this.#cs === FLAT_CODE ? 32 : r.pick([16, 32]);
    const p = this.#size(size);
    const bytes = size === 16 ? 2 : 4;
    const plus = -baseOf(selector);
    const nextBits = isGood ? bitsOf(selector) : this.#bits;
    const to: Label = { what: "far" };
    const none = new Array<number>(bytes).fill(0);
    const push = (value: readonly number[]) => [...p, 0x68, ...value];
    const wide = (value: number) => little(value, bytes);
    const address = (at: number) => ({ at, bytes, kind: "address", to, plus }) as const;
    const jump = (code: readonly number[], at: number) => {
      this.#add(code, { refs: [address(at)], isEnd: true, isIndirect: true, nextBits });
      if (isGood) this.#cs = selector;
      this.pieces.push({ bytes: [0x90], label: to });
    };
    switch (r.below(4)) {
      case 0:
        return jump([...p, 0xea, ...none, ...little(selector, 2)], p.length + 1);
      case 1: {
        const first = push(wide(selector));
        return jump([...first, ...push(none), ...p, 0xcb], first.length + p.length + 1);
      }
      case 2: {
        // Flags that are all defined go there and back.
        const first = [0x39, 0xd8, ...p, 0x9c, ...push(wide(selector))];
        const code = [...first, ...push(none), ...p, 0xcf];
        this.#add([0x39, 0xd8], { defines: ALL });
        return jump(code, first.length + p.length + 1);
      }
      default: {
        if (!isGood) return jump([...p, 0x9a, ...none, ...little(selector, 2)], p.length + 1);
        const back = [...this.#size(size, bitsOf(selector)), 0xcb];
        const start = this.#bits;
        this.#add([...p, 0x9a, ...none, ...little(selector, 2), 0xeb, back.length], {
          refs: [address(p.length + 1)],
          isCall: true,
          nextBits,
        });
        this.pieces.push({
          bytes: back,
          label: to,
          bits: nextBits,
          nextBits: start,
          isIndirect: true,
        });
      }
    }
  }
}

/** A case of about `size` pieces. */
export function randomSegments(random: Random, size: number): SegmentedCase {
  const cs = random.pick([...CODE_SELECTORS, FLAT_CODE]);
  const ss = random.pick(STACK_SELECTORS);
  const data = () => random.pick([...DATA_SELECTORS, ...DATA_SELECTORS, FLAT_DATA, local(7), 0]);
  const isWideStack = ss === FLAT_DATA || ss === local(13);
  const code = new SegmentedCode(random, cs, isWideStack);
  for (let i = 1 + random.below(size); i > 0; i--) {
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
        code.arithmetic();
        break;
      case 3:
      case 4:
        code.move();
        break;
      case 5:
        code.lea();
        break;
      case 6:
        code.stack();
        break;
      case 7:
        code.string();
        break;
      case 8:
      case 9:
        code.load();
        break;
      case 10:
        code.ask();
        break;
      case 11:
        code.near();
        break;
      default:
        code.far();
    }
  }
  const high = isWideStack ? 0 : random.pick([0, 0, 0x5a5a0000]);
  const esp = ss === FLAT_DATA ? 0x00301000 : (high | SS_FRAME) >>> 0;
  return {
    pieces: withFlagsDefined(code.pieces),
    segs: [data(), cs, ss, data(), data(), data()],
    esp,
    ebp: esp + random.below(LONG_ENOUGH),
  };
}
