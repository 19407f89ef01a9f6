/**
 * The operations of Berkeley TestFloat that SSE, SSE2 and the x87 have instructions for, as code for vectors in memory.
 */
import type { Code } from "../unit/protect/assembler.ts";

/** A vector in the guest: two operands, the result, the status, the control word or MXCSR. */
export const ENTRY_BYTES = 64;
export const OPERAND_BYTES = 16;
export const RESULT_AT = 32;
export const STATUS_AT = 48;
export const CONTROL_AT = 56;

/** How an operation loads, computes and stores, with ESI at an entry. */
export interface Operation {
  /** Function of the generator, and options that belong to it. */
  readonly call: string;
  /** The instruction, without the letter for the format. */
  readonly by: string;
  readonly code: Code;
  readonly operands: number;
  readonly isRounded: boolean;
  /** On the x87: arithmetic, which precision control rounds, or something else. */
  readonly x87?: "arithmetic" | "conversion";
}

/** Prefixes of the scalar and packed forms. */
const SCALAR = { f32: [0xf3], f64: [0xf2] } as const;
const PACKED = { f32: [], f64: [0x66] } as const;
type Format = keyof typeof SCALAR;
const FIRST = 0x06;
const SECOND = [0x46, OPERAND_BYTES] as const;
const RESULT = [0x46, RESULT_AT] as const;

const load = (format: Format): Code => [...SCALAR[format], 0x0f, 0x10, FIRST];
const store = (format: Format): Code => [...SCALAR[format], 0x0f, 0x11, ...RESULT];
/** An operation on XMM0 and the second operand. */
const withSecond = (format: Format, opcode: number): Code => [
  ...SCALAR[format],
  0x0f,
  opcode,
  ...SECOND,
];
/** COMISS or UCOMISS of one operand with the other, and a condition, as a boolean. */
function comparison(format: Format, opcode: number, isSwapped: boolean, setcc: Code): Code {
  const first = [...SCALAR[format], 0x0f, 0x10, ...(isSwapped ? SECOND : [FIRST])];
  const second = [...PACKED[format], 0x0f, opcode, ...(isSwapped ? [FIRST] : SECOND)];
  return [...first, ...second, ...setcc, 0x0f, 0xb6, 0xc0, 0x89, ...RESULT];
}
/** CMPSS with a predicate, as a boolean. */
function predicate(format: Format, number: number): Code {
  const move = [0x66, 0x0f, 0x7e, 0xc0];
  return [
    ...load(format),
    ...withSecond(format, 0xc2),
    number,
    ...move,
    ...[0x83, 0xe0, 1],
    ...[0x89, ...RESULT],
  ];
}
/** SETE and SETNP together, SETAE, SETA: unordered is none of them. */
const EQUAL: Code = [0x0f, 0x94, 0xc0, 0x0f, 0x9b, 0xc4, 0x20, 0xe0];
const NOT_BELOW: Code = [0x0f, 0x93, 0xc0];
const ABOVE: Code = [0x0f, 0x97, 0xc0];
const UCOMIS = 0x2e;
const COMIS = 0x2f;

function sseOperations(format: Format): Operation[] {
  const other: Format = format === "f32" ? "f64" : "f32";
  const binary = (name: string, opcode: number): Operation => ({
    call: `${format}_${name}`,
    by: name.toUpperCase(),
    code: [...load(format), ...withSecond(format, opcode), ...store(format)],
    operands: 2,
    isRounded: true,
  });
  const relation = (name: string, by: string, code: Code): Operation => ({
    call: `${format}_${name}`,
    by,
    code,
    operands: 2,
    isRounded: false,
  });
  const toInteger = (opcode: number): Code => [
    ...[...SCALAR[format], 0x0f, opcode, FIRST],
    ...[0x89, ...RESULT],
  ];
  return [
    binary("add", 0x58),
    binary("mul", 0x59),
    binary("sub", 0x5c),
    binary("div", 0x5e),
    {
      call: `${format}_sqrt`,
      by: "SQRT",
      code: [...SCALAR[format], 0x0f, 0x51, FIRST, ...store(format)],
      operands: 1,
      isRounded: true,
    },
    {
      call: `i32_to_${format}`,
      by: "CVTSI2S",
      code: [...SCALAR[format], 0x0f, 0x2a, FIRST, ...store(format)],
      operands: 1,
      isRounded: true,
    },
    {
      call: `${format}_to_i32 -exact`,
      by: "CVTS2SI",
      code: toInteger(0x2d),
      operands: 1,
      isRounded: true,
    },
    {
      call: `${format}_to_i32 -exact -rminMag`,
      by: "CVTTS2SI",
      code: toInteger(0x2c),
      operands: 1,
      isRounded: false,
    },
    {
      call: `${format}_to_${other}`,
      by: "CVTS2S",
      code: [...SCALAR[format], 0x0f, 0x5a, FIRST, ...store(other)],
      operands: 1,
      isRounded: true,
    },
    relation("eq", "UCOMISS", comparison(format, UCOMIS, false, EQUAL)),
    relation("eq_signaling", "COMISS", comparison(format, COMIS, false, EQUAL)),
    relation("le", "COMISS", comparison(format, COMIS, true, NOT_BELOW)),
    relation("lt", "COMISS", comparison(format, COMIS, true, ABOVE)),
    relation("le_quiet", "UCOMISS", comparison(format, UCOMIS, true, NOT_BELOW)),
    relation("lt_quiet", "UCOMISS", comparison(format, UCOMIS, true, ABOVE)),
    relation("eq", "CMPS", predicate(format, 0)),
    relation("lt", "CMPS", predicate(format, 1)),
    relation("le", "CMPS", predicate(format, 2)),
  ];
}

const FSQRT: Code = [0xd9, 0xfa];
const FRNDINT: Code = [0xd9, 0xfc];
const FLD_FIRST: Code = [0xdb, 0x2e];
const FLD_SECOND: Code = [0xdb, 0x6e, OPERAND_BYTES];
const FSTP_RESULT: Code = [0xdb, 0x7e, RESULT_AT];
/** The status is that of the operation, not of the exact store. */
const FNSTSW: Code = [0xdd, 0x7e, STATUS_AT];

/** An x87 operation on ST(0) and, if there are two operands, ST(1), which leaves its result in ST(0). */
function x87(name: string, by: string, code: Code, isRounded = true): Operation {
  const operands = code === FSQRT || code === FRNDINT ? 1 : 2;
  const loads = operands === 2 ? [...FLD_SECOND, ...FLD_FIRST] : FLD_FIRST;
  return {
    call: `extF80_${name}`,
    by,
    code: [...loads, ...code, ...FNSTSW, ...FSTP_RESULT],
    operands,
    isRounded,
    x87: "arithmetic",
  };
}
/** FPREM1 until C2 is clear, which SAHF moves to PF; the divisor goes. */
const FPREM1: Code = [0xd9, 0xf5, 0xdf, 0xe0, 0x9e, 0x7a, 0xf9];
/** FCOMIP or FUCOMIP and a condition, as a boolean; what is left is popped. */
function x87Relation(
  name: string,
  by: string,
  opcode: number,
  isSwapped: boolean,
  setcc: Code,
): Operation {
  const loads = isSwapped ? [FLD_FIRST, FLD_SECOND] : [FLD_SECOND, FLD_FIRST];
  return {
    call: `extF80_${name}`,
    by,
    code: [
      ...loads.flat(),
      ...[0xdf, opcode],
      ...FNSTSW,
      ...setcc,
      ...[0xdd, 0xd8, 0x0f, 0xb6, 0xc0, 0x89],
      ...RESULT,
    ],
    operands: 2,
    isRounded: false,
    x87: "conversion",
  };
}
/** A conversion: `load` one format, store it as another. */
function x87Conversion(
  call: string,
  by: string,
  load: Code,
  store: Code,
  isRounded: boolean,
): Operation {
  const isExtended = store === FSTP_RESULT;
  const code = isExtended ? [...load, ...FNSTSW, ...store] : [...load, ...store, ...FNSTSW];
  return { call, by, code, operands: 1, isRounded, x87: "conversion" };
}
const FUCOMIP = 0xe9;
const FCOMIP = 0xf1;
const X87: readonly Operation[] = [
  x87("add", "FADDP", [0xde, 0xc1]),
  x87("sub", "FSUBRP", [0xde, 0xe1]),
  x87("mul", "FMULP", [0xde, 0xc9]),
  x87("div", "FDIVRP", [0xde, 0xf1]),
  x87("sqrt", "FSQRT", FSQRT),
  { ...x87("roundToInt -exact", "FRNDINT", FRNDINT), x87: "conversion" },
  {
    ...x87("rem", "FPREM1", FPREM1, false),
    code: [...FLD_SECOND, ...FLD_FIRST, ...FPREM1, ...FNSTSW, 0xdd, 0xd9, ...FSTP_RESULT],
    x87: "conversion",
  },
  x87Relation("eq", "FUCOMIP", FUCOMIP, false, EQUAL),
  x87Relation("eq_signaling", "FCOMIP", FCOMIP, false, EQUAL),
  x87Relation("le", "FCOMIP", FCOMIP, true, NOT_BELOW),
  x87Relation("lt", "FCOMIP", FCOMIP, true, ABOVE),
  x87Relation("le_quiet", "FUCOMIP", FUCOMIP, true, NOT_BELOW),
  x87Relation("lt_quiet", "FUCOMIP", FUCOMIP, true, ABOVE),
  x87Conversion("i32_to_extF80", "FILD", [0xdb, 0x06], FSTP_RESULT, false),
  x87Conversion("i64_to_extF80", "FILD", [0xdf, 0x2e], FSTP_RESULT, false),
  x87Conversion("f32_to_extF80", "FLD", [0xd9, 0x06], FSTP_RESULT, false),
  x87Conversion("f64_to_extF80", "FLD", [0xdd, 0x06], FSTP_RESULT, false),
  x87Conversion("extF80_to_f32", "FSTP", FLD_FIRST, [0xd9, 0x5e, RESULT_AT], true),
  x87Conversion("extF80_to_f64", "FSTP", FLD_FIRST, [0xdd, 0x5e, RESULT_AT], true),
  x87Conversion("extF80_to_i32 -exact", "FISTP", FLD_FIRST, [0xdb, 0x5e, RESULT_AT], true),
  x87Conversion("extF80_to_i64 -exact", "FISTP", FLD_FIRST, [0xdf, 0x7e, RESULT_AT], true),
];

/** All of them. */
export const OPERATIONS: readonly Operation[] = [
  ...sseOperations("f32"),
  ...sseOperations("f64"),
  ...X87,
];
