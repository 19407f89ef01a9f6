/**
 * What QEMU's user-mode emulation of i386 (7.2) does unlike any processor: each entry says what, and what it leaves of a case to
 * compare. Where the machine has an x86, that decides each difference, and the list only gives it a name; elsewhere a difference
 * that no entry takes out is a failure.
 */
import { type CpuOutcome, compareOutcome, DATA, EDGE, READ_ONLY, STACK } from "./cpu-driver.ts";
import type { FxState, VectorCase } from "./nv1.ts";
import { ENVIRONMENT_AT } from "./random-x87.ts";

const VECTOR_GP = 13;
const VECTOR_SS = 12;
const VECTOR_NP = 11;
const VECTOR_PF = 14;
const VECTOR_MF = 16;
const VECTOR_AC = 17;
const VECTOR_XM = 19;
const FLAGS = 0xcd5;
/** Bytes around address 0. */
const WRAP = 128;
const FSW_C1 = 0x200;
const FSW_SF = 0x40;
const FSW_DE = 2;
const FCW_PRECISION = 0x300;
const FCW_EXTENDED = 0x300;
const FCW_RESERVED = 0xe0c0;
const MXCSR_DE = 2;
const MXCSR_DAZ = 0x40;
const FSW_EXCEPTIONS = 0x3f;
const FSW_ES_B = 0x8080;
const FSW_CONDITIONS = 0x4500;
const ENVIRONMENT_BYTES = 108;
/** FTW of FXSAVE with no register empty. */
const ALL_IN_USE = 0xff;
/** Second bytes after D9: FPREM1, FPREM; FDECSTP, FINCSTP; F2XM1, FPTAN, FYL2XP1, FSINCOS, FSIN, FCOS; FNSTENV of an absolute address. */
const PARTIAL_REMAINDERS = [0xf5, 0xf8];
const STACK_STEPS = [0xf6, 0xf7];
const TRIGONOMETRIC = [0xf0, 0xf2, 0xf9, 0xfb, 0xfe, 0xff];
const FNSTENV = [0x35];
const SQUARE_ROOT = [0xfa];
/** After 0F: LAR; EMMS; MINPS, MAXPS; RSQRTPS and RCPPS. After DB: FNCLEX and FNINIT. After DF: FNSTSW AX. */
const PUSHF = 0x9c;
const PUSHA = 0x60;
const CMPXCHG8B = [0xc7];
const LAR = [0x02];
const EMMS = [0x77];
const LSS = [0xb2];
const EXTREMES = [0x5d, 0x5f];
const ESTIMATES = [0x52, 0x53];
const CLEARS = [0xe2, 0xe3];
const FNSTSW_AX = [0xe0];
/** After DB and DF: FUCOMI and FCOMI, with and without a pop. After DD: FST and FSTP. */
const COMPARES = range(0xe8, 16);
const STORES = range(0xd0, 16);

/** A departure, and what it leaves of a case to compare; undefined: nothing. */
interface Departure {
  readonly what: string;
  readonly correct: (test: VectorCase, got: CpuOutcome) => VectorCase | undefined;
}

/** The case with another floating-point state expected. */
function withFx(test: VectorCase, change: (fx: FxState) => FxState): VectorCase {
  const { fx } = test.after;
  return fx === undefined ? test : { ...test, after: { ...test.after, fx: change(fx) } };
}

/** Bits of `got` where the mask says so, else of `want`. */
function merged(want: number, got: number, mask: number): number {
  return (want & ~mask) | (got & mask);
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

function has(code: Uint8Array, first: number, seconds: readonly number[]): boolean {
  return code.some((byte, i) => byte === first && seconds.includes(code[i + 1] ?? -1));
}

/** Whether the code has an x87 instruction with a memory operand: opcode and extension. */
function hasMemory(code: Uint8Array, opcode: number, extension: number): boolean {
  return code.some((byte, i) => {
    const form = code[i + 1] ?? 0xff;
    return byte === opcode && form < 0xc0 && ((form >> 3) & 7) === extension;
  });
}

function isReduced(test: VectorCase): boolean {
  const { fx } = test.before;
  return fx !== undefined && (fx.fcw & FCW_PRECISION) !== FCW_EXTENDED;
}

/** Whether the code takes exception bits away or brings others, so that what happened before cannot be seen. */
function hidesExceptions({ code }: VectorCase): boolean {
  return (
    has(code, 0xdb, CLEARS) ||
    hasMemory(code, 0xd9, 4) ||
    hasMemory(code, 0xdd, 4) ||
    hasMemory(code, 0xdd, 6)
  );
}

/** Whether an 80-bit value is a NaN. */
function isNan80(st: Uint8Array): boolean {
  const top = st[9]! & 0x7f;
  return top === 0x7f && st[8] === 0xff && st.subarray(0, 7).some((b) => b !== 0);
}

function isNan32(value: number): boolean {
  return (value & 0x7fffffff) >>> 0 > 0x7f800000;
}

function isNan64(view: DataView, at: number): boolean {
  const high = view.getUint32(at + 4, true) & 0x7fffffff;
  return high > 0x7ff00000 || (high === 0x7ff00000 && view.getUint32(at, true) !== 0);
}

/** The lanes of `got` where both have a NaN, else of `want`. */
function withNans(want: Uint8Array, got: Uint8Array): Uint8Array {
  const result = want.slice();
  const [a, b] = [
    new DataView(want.buffer, want.byteOffset),
    new DataView(got.buffer, got.byteOffset),
  ];
  for (let at = 0; at < 16; at += 8) {
    if (isNan64(a, at) && isNan64(b, at)) result.set(got.subarray(at, at + 8), at);
  }
  for (let at = 0; at < 16; at += 4) {
    if (isNan32(a.getUint32(at, true)) && isNan32(b.getUint32(at, true))) {
      result.set(got.subarray(at, at + 4), at);
    }
  }
  return result;
}

const DEPARTURES: readonly Departure[] = [
  {
    what: "a page fault of a read-modify-write says it was a read, and a write to a read-only page that nothing was there; other error codes do not reach the signal",
    correct: (test) => ({ ...test, error: undefined }),
  },
  {
    what: "flags are those of an earlier instruction after a page fault",
    correct: (test) => (test.vector === VECTOR_PF ? { ...test, undefinedFlags: FLAGS } : test),
  },
  {
    what: "an access around the end of the address space is a page fault instead of #GP or #SS, or of the other end",
    correct: (test) => {
      const distance = test.vector === VECTOR_PF ? Math.abs(test.cr2! | 0) : WRAP;
      return distance < WRAP ? undefined : test;
    },
  },
  {
    what: "PUSHF stores VIF and VIP, or flags of an earlier instruction",
    correct: (test) => (test.code.includes(PUSHF) ? undefined : test),
  },
  {
    what: "PUSHA begins with its last slot",
    correct: (test, got) =>
      got.vector === VECTOR_PF && test.code.includes(PUSHA) ? { ...test, cr2: undefined } : test,
  },
  {
    what: "FBSTP begins with its last byte",
    correct: (test, got) =>
      got.vector === VECTOR_PF && hasMemory(test.code, 0xdf, 6)
        ? { ...test, cr2: undefined }
        : test,
  },
  {
    what: "an MMX instruction whose operand faults has taken the x87 registers",
    correct: (test, got) => {
      const isTaken = test.after.fx?.ftw === ALL_IN_USE && got.fx?.ftw !== ALL_IN_USE;
      return got.vector === VECTOR_PF && isTaken ? undefined : test;
    },
  },
  {
    what: "LSS holds off the trap of a single step, as MOV SS should alone",
    correct: (test, got) =>
      test.steps!.count > 0 && has(test.code, 0x0f, LSS) ? { ...test, steps: got.steps! } : test,
  },
  {
    what: "CMPXCHG8B changes more flags than ZF",
    correct: (test) => (has(test.code, 0x0f, CMPXCHG8B) ? undefined : test),
  },
  {
    what: "a store that faults has set the exceptions of its rounding",
    correct: (test) =>
      test.vector === VECTOR_PF
        ? { ...test, undefinedFsw: test.undefinedFsw | FSW_EXCEPTIONS }
        : test,
  },
  {
    what: "the address of a fault in fetching is an old one",
    correct: (test, got) =>
      test.vector === VECTOR_PF && got.cr2 === got.eip ? { ...test, cr2: undefined } : test,
  },
  {
    what: "pages of data and stack cannot be run, as with NX, and no error code tells",
    correct: (test) => {
      const isData = [DATA, STACK, EDGE, READ_ONLY].some(
        ({ address, bytes }) => test.after.eip >= address && test.after.eip < address + bytes,
      );
      return isData ? undefined : test;
    },
  },
  {
    what: "an exception in the first instruction after FXRSTOR finds the x87 state of before",
    correct: (test, got) => (test.before.fx !== undefined && got.retired === 0 ? undefined : test),
  },
  {
    what: "a signal, so each single step, loses the x87 state",
    correct: (test) => (test.before.fx !== undefined && test.steps!.count > 0 ? undefined : test),
  },
  {
    what: "C1 of the x87 status word is not kept",
    correct: (test) =>
      has(test.code, 0xdf, FNSTSW_AX) || hasMemory(test.code, 0xdd, 7)
        ? undefined
        : { ...test, undefinedFsw: test.undefinedFsw | FSW_C1 },
  },
  {
    what: "x87 stack overflow and underflow are no exceptions",
    correct: (test, got) => {
      if (got.fx === undefined) return test;
      return (got.fx.fsw & FSW_SF) !== 0 || hidesExceptions(test) ? undefined : test;
    },
  },
  {
    what: "a pending x87 exception that FXRSTOR, FLDENV or FRSTOR brings is not raised, nor is one that FLDCW unmasks",
    correct: (test, got) =>
      got.vector === VECTOR_MF && test.vector !== VECTOR_MF ? undefined : test,
  },
  {
    what: "ES and B do not follow the exception bits that FRSTOR and its kin load",
    correct: (test) => ({ ...test, undefinedFsw: test.undefinedFsw | FSW_ES_B }),
  },
  {
    what: "FINCSTP, FDECSTP and FSQRT clear C0, C2 and C3",
    correct: (test) =>
      has(test.code, 0xd9, [...STACK_STEPS, ...SQUARE_ROOT])
        ? { ...test, undefinedFsw: test.undefinedFsw | FSW_CONDITIONS }
        : test,
  },
  {
    what: "CVTPI2PD from memory takes the x87 registers in MMX use, as only its register form should",
    correct: (test) => {
      const isIt = range(0, 8).some((extension) => hasMemory(test.code, 0x2a, extension));
      return isIt && test.before.fx && has(test.code, 0x66, [0x0f]) ? undefined : test;
    },
  },
  {
    what: "MINPS, MAXPS and their kin return a denormal under DAZ",
    correct: (test, got) =>
      has(test.code, 0x0f, EXTREMES) && got.fx !== undefined && (got.fx.mxcsr & MXCSR_DAZ) !== 0
        ? undefined
        : test,
  },
  {
    what: "a store with an unmasked overflow, underflow or invalid exception goes on, or raises others",
    correct: (test, got) => {
      const { fx } = test.before;
      const unmasked = fx === undefined ? 0 : ~fx.fcw & 0x3f;
      return unmasked !== 0 && got.fx!.fsw & unmasked ? undefined : test;
    },
  },
  {
    what: "FNSTCW stores reserved bits of the control word",
    correct: (test) => (hasMemory(test.code, 0xd9, 7) ? undefined : test),
  },
  {
    what: "EMMS leaves TOP",
    correct: (test) => (has(test.code, 0x0f, EMMS) && test.before.fx ? undefined : test),
  },
  {
    what: "RCPPS and RSQRTPS are exact, and take denormals",
    correct: (test) => (test.isApprox && has(test.code, 0x0f, ESTIMATES) ? undefined : test),
  },
  {
    what: "an operation goes on after an unmasked denormal-operand exception",
    correct: (test, got) => {
      const { fx } = test.before;
      return fx !== undefined && (fx.fcw & FSW_DE) === 0 && got.fx!.fsw & FSW_DE ? undefined : test;
    },
  },
  {
    what: "memory operands of many digits are rounded under reduced precision",
    correct: (test) => {
      const hasWide = range(0, 8).some((extension) =>
        [0xda, 0xdb, 0xdc, 0xdd, 0xdf].some((opcode) => hasMemory(test.code, opcode, extension)),
      );
      return isReduced(test) && hasWide ? undefined : test;
    },
  },
  {
    what: "FNSTENV does not mask the exceptions",
    correct: (test) => (has(test.code, 0xd9, FNSTENV) ? undefined : test),
  },
  {
    what: "FNSAVE stores other reserved bits, tags and status than a processor",
    correct: (test) => ({
      ...test,
      ignored: [{ address: ENVIRONMENT_AT, length: ENVIRONMENT_BYTES }],
    }),
  },
  {
    what: "FCOMI and its kin leave OF, SF and AF as they were",
    correct: (test) =>
      has(test.code, 0xdb, COMPARES) || has(test.code, 0xdf, COMPARES) ? undefined : test,
  },
  {
    what: "FST to an empty register leaves it empty",
    correct: (test, got) =>
      has(test.code, 0xdd, STORES) && test.after.fx?.ftw !== got.fx?.ftw ? undefined : test,
  },
  {
    what: "FSIN, FCOS, FSINCOS and FPTAN are those of the host's double precision; F2XM1 and FYL2XP1 out of range are others",
    correct: (test) => (test.isApprox && has(test.code, 0xd9, TRIGONOMETRIC) ? undefined : test),
  },
  {
    what: "reserved bits of the x87 control word are kept",
    correct: (test, got) =>
      withFx(test, (fx) => ({ ...fx, fcw: merged(fx.fcw, got.fx!.fcw, FCW_RESERVED) })),
  },
  {
    what: "FPREM and FPREM1 under reduced precision, and their C0, C1 and C3",
    correct: (test) => (has(test.code, 0xd9, PARTIAL_REMAINDERS) ? undefined : test),
  },
  {
    what: "a write to an MMX register leaves its exponent, which x87 instructions then see",
    correct: (test, got) =>
      got.fx?.st.some((st) => st[8] === 0xff && st[9] === 0xff) &&
      test.code.some((byte) => byte >= 0xd8 && byte <= 0xdf)
        ? undefined
        : withFx(test, (fx) => ({
            ...fx,
            st: fx.st.map((want, i) => {
              const found = got.fx!.st[i]!;
              if (found[8] !== 0xff || found[9] !== 0xff) return want;
              return Uint8Array.from([...want.subarray(0, 8), 0xff, 0xff]);
            }),
          })),
  },
  {
    what: "MXCSR.DE and the x87's DE are not set by all that should, which STMXCSR stores",
    correct: (test, got) =>
      hasMemory(test.code, 0xae, 3)
        ? undefined
        : withFx(test, (fx) => ({
            ...fx,
            mxcsr: merged(fx.mxcsr, got.fx!.mxcsr, MXCSR_DE),
            fsw: merged(fx.fsw, got.fx!.fsw, FSW_DE),
          })),
  },
  {
    what: "#XM does not exist",
    correct: (test, got) => (got.vector === VECTOR_XM ? undefined : test),
  },
  {
    what: "LDMXCSR and FXRSTOR take reserved bits; aligned operands may lie anywhere",
    correct: (test, got) => {
      const isPassed = test.vector !== VECTOR_GP || test.after.eip !== got.eip;
      return test.before.fx !== undefined && got.vector === VECTOR_GP && isPassed
        ? undefined
        : test;
    },
  },
  {
    what: "of two NaNs another is chosen",
    correct: (test, got) =>
      withFx(test, (fx) => ({
        ...fx,
        st: fx.st.map((want, i) => {
          const found = got.fx!.st[i]!;
          return isNan80(want) && isNan80(found) ? found : want;
        }),
        xmm: fx.xmm.map((want, i) => withNans(want, got.fx!.xmm[i]!)),
      })),
  },
  {
    what: "segment limits, types and presence are not checked, nor alignment",
    correct: (test, got) => {
      const isSegment = [VECTOR_NP, VECTOR_SS, VECTOR_GP, VECTOR_AC].includes(got.vector);
      const isAlike = test.vector === got.vector && test.after.eip === got.eip;
      return test.hasSegs && isSegment && !isAlike ? undefined : test;
    },
  },
  {
    what: "descriptors of the LDT have not been accessed, as LAR shows",
    correct: (test) => (test.hasSegs && has(test.code, 0x0f, LAR) ? undefined : test),
  },
  {
    what: "a write across a read-only page and a missing one reports the missing one",
    correct: (test, got) => {
      const isNext = test.cr2 !== undefined && test.cr2 >>> 12 === (got.cr2 >>> 12) + 1;
      return isNext ? { ...test, cr2: undefined } : test;
    },
  },
];

/** The class of a departure that nothing in the list says. */
export const OTHER = "other";

/** Why QEMU's answer is another than that of the processor under test. */
export interface Explanation {
  /** What the list says of it; OTHER among them when that is not all. */
  readonly classes: readonly string[];
  /** Differences that the list does not explain. */
  readonly left: readonly string[];
}

/** Entries that leave something to compare come first, as they say more than those that take out the case. */
export function explain(test: VectorCase, got: CpuOutcome): Explanation {
  const classes: string[] = [];
  let left = test;
  let lines = compareOutcome(left, got);
  for (const { what, correct } of DEPARTURES) {
    const next = correct(left, got);
    if (next === undefined || lines.length === 0) continue;
    const fewer = compareOutcome(next, got);
    if (fewer.length < lines.length) classes.push(what);
    left = next;
    lines = fewer;
  }
  if (lines.length === 0) return { classes, left: lines };
  const whole = DEPARTURES.find(({ correct }) => correct(left, got) === undefined);
  if (whole !== undefined) return { classes: [...classes, whole.what], left: [] };
  return { classes: [...classes, OTHER], left: lines };
}
