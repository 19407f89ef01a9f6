/**
 * SSE and SSE2 floating point: arithmetic, comparison and conversion on the lanes of a register, MXCSR, and #XM.
 *
 * Where rounding is to nearest and the precision exception is masked and already flagged, normal operands with a normal result can
 * raise nothing new: those run on the host's arithmetic, which rounds alike. Everything else goes through exec/softfloat.ts.
 * Source: SDM 1, "SIMD Floating-Point Exceptions"; SDM 2A and 2B, the instruction of each name.
 */
import { MXCSR_MASK_SHIFT, MXCSR_PE, MXCSR_RC_SHIFT } from "../../abi/sse.ts";
import { VCPU_FX_FLAGS, VCPU_MXCSR } from "../../abi/vcpu.ts";
import { EFLAGS_CF, EFLAGS_PF, EFLAGS_ZF } from "../../abi/x86.ts";
import { SHAPE_PD, SHAPE_PS, SHAPE_SD, SHAPE_SS, SIMD_SHAPE_SHIFT } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { setArithFlags } from "../state/flags.ts";
import { source, Vec } from "./simd-operands.ts";
import {
  add,
  divide,
  Format,
  IS_EQUAL,
  IS_GREATER,
  IS_LESS,
  IS_UNORDERED,
  multiply,
  operand,
  relation,
  squareRoot,
} from "./softfloat.ts";
import { convertOperation } from "./sse-convert.ts";
import { estimate } from "./sse-estimate.ts";
import { settleSse } from "./sse-settle.ts";

/** @returns the lane's result bits for SIMD_FADD to SIMD_FCMP. */
function lane<T>(v: usize, op: u32, first: u64, second: u64, predicate: u32): u64 {
  const a = operand<T>(v, first);
  const b = operand<T>(v, second);
  switch (op) {
    case S.SIMD_FADD:
      return add<T>(v, a, b, false);
    case S.SIMD_FSUB:
      return add<T>(v, a, b, true);
    case S.SIMD_FMUL:
      return multiply<T>(v, a, b);
    case S.SIMD_FDIV:
      return divide<T>(v, a, b);
    case S.SIMD_FSQRT:
      return squareRoot<T>(v, b);
    case S.SIMD_FMIN:
      // The second operand wins unless the first is less: with NaNs, and between zeroes.
      return relation<T>(v, a, b, true) == IS_LESS ? a : b;
    case S.SIMD_FMAX:
      return relation<T>(v, a, b, true) == IS_GREATER ? a : b;
    default:
      return compared<T>(v, a, b, predicate);
  }
}

/** Relations that make each predicate true: EQ LT LE UNORD. The other four are their opposites. */
const PREDICATES: usize = memory.data<u8>([1, 2, 3, 8]);

/** CMPPS and its kin: all ones or zero. LT, LE and their opposites signal. */
function compared<T>(v: usize, a: u64, b: u64, predicate: u32): u64 {
  const signals = (predicate & 3) == 1 || (predicate & 3) == 2;
  const wanted: u32 = load<u8>(PREDICATES + (predicate & 3));
  const holds = (relation<T>(v, a, b, signals) & wanted) != 0;
  return holds == ((predicate & 4) == 0) ? (Format.signBit<T>() << 1) - 1 : 0;
}

/** All lanes of two registers. @param isSingle four singles, else two doubles */
function lanes(v: usize, op: u32, a: v128, b: v128, isSingle: bool, predicate: u32): v128 {
  const a0 = i64x2.extract_lane(a, 0);
  const a1 = i64x2.extract_lane(a, 1);
  const b0 = i64x2.extract_lane(b, 0);
  const b1 = i64x2.extract_lane(b, 1);
  let low: u64;
  let high: u64;
  if (isSingle) {
    low = lane<f32>(v, op, a0 & LOW_DWORD, b0 & LOW_DWORD, predicate);
    low |= lane<f32>(v, op, a0 >>> 32, b0 >>> 32, predicate) << 32;
    high = lane<f32>(v, op, a1 & LOW_DWORD, b1 & LOW_DWORD, predicate);
    high |= lane<f32>(v, op, a1 >>> 32, b1 >>> 32, predicate) << 32;
  } else {
    low = lane<f64>(v, op, a0, b0, predicate);
    high = lane<f64>(v, op, a1, b1, predicate);
  }
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}
const LOW_DWORD: u64 = 0xffffffff;

/** @returns whether normal operands with a normal result can raise nothing that is not flagged already. */
function isQuick(v: usize): bool {
  const wanted = MXCSR_PE | (MXCSR_PE << MXCSR_MASK_SHIFT);
  return (load<u32>(v, VCPU_MXCSR) & (wanted | (3 << MXCSR_RC_SHIFT))) == wanted;
}

/** @returns `a op b` by the host, which counts when isOrdinary() finds nothing. */
function onHost<T extends number>(op: u32, a: T, b: T): T {
  switch (op) {
    case S.SIMD_FADD:
      return <T>(a + b);
    case S.SIMD_FSUB:
      return <T>(a - b);
    case S.SIMD_FMUL:
      return <T>(a * b);
    case S.SIMD_FDIV:
      return <T>(a / b);
    default:
      return sqrt<T>(b);
  }
}
function onHostPacked<T extends number>(op: u32, a: v128, b: v128): v128 {
  switch (op) {
    case S.SIMD_FADD:
      return v128.add<T>(a, b);
    case S.SIMD_FSUB:
      return v128.sub<T>(a, b);
    case S.SIMD_FMUL:
      return v128.mul<T>(a, b);
    case S.SIMD_FDIV:
      return v128.div<T>(a, b);
    default:
      return v128.sqrt<T>(b);
  }
}

/** Normal, and not the least one, which may have been tiny before rounding. */
function isOrdinary<T>(x: u64): bool {
  return <u32>(Format.exponent<T>(x) - 2) < <u32>(Format.top<T>() - 2);
}

/** @returns the result, or 0 (which is never ordinary) when software must decide. */
function quickScalar<T>(op: u32, a: u64, b: u64): u64 {
  // A square root has one operand.
  if (Format.isDenormal<T>(b) || (op != S.SIMD_FSQRT && Format.isDenormal<T>(a))) return 0;
  const result: u64 =
    sizeof<T>() == 4
      ? reinterpret<u32>(onHost<f32>(op, reinterpret<f32>(<u32>a), reinterpret<f32>(<u32>b)))
      : reinterpret<u64>(onHost<f64>(op, reinterpret<f64>(a), reinterpret<f64>(b)));
  return isOrdinary<T>(result) ? result : 0;
}

/** @returns whether every lane of the operands is no denormal and every lane of the result ordinary. */
function isQuickPacked(op: u32, a: v128, b: v128, result: v128, isSingle: bool): bool {
  const first = op == S.SIMD_FSQRT ? b : a;
  if (isSingle) {
    const mask = i32x4.splat(0x7fffffff);
    const one = i32x4.splat(1);
    const denormals = i32x4.splat(0x7fffff);
    const x = v128.ge<u32>(v128.sub<i32>(v128.and(first, mask), one), denormals);
    const y = v128.ge<u32>(v128.sub<i32>(v128.and(b, mask), one), denormals);
    const shifted = v128.sub<i32>(v128.shr<u32>(v128.and(result, mask), 23), i32x4.splat(2));
    const z = v128.lt<u32>(shifted, i32x4.splat(0xfd));
    return v128.all_true<i32>(v128.and(v128.and(x, y), z));
  }
  return (
    !Format.isDenormal<f64>(i64x2.extract_lane(first, 0)) &&
    !Format.isDenormal<f64>(i64x2.extract_lane(first, 1)) &&
    !Format.isDenormal<f64>(i64x2.extract_lane(b, 0)) &&
    !Format.isDenormal<f64>(i64x2.extract_lane(b, 1)) &&
    isOrdinary<f64>(i64x2.extract_lane(result, 0)) &&
    isOrdinary<f64>(i64x2.extract_lane(result, 1))
  );
}

/** Packed forms of SIMD_FADD to SIMD_FCMP. */
function packedFloat(v: usize, pc: usize, op: u32, isSingle: bool): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  const a = v128.load(target);
  const b = v128.load(ptr);
  if (hasHostForm(op) && isQuick(v)) {
    const quick = isSingle ? onHostPacked<f32>(op, a, b) : onHostPacked<f64>(op, a, b);
    if (isQuickPacked(op, a, b, quick, isSingle)) {
      v128.store(target, quick);
      return STEP_NEXT;
    }
  }
  const result = lanes(v, op, a, b, isSingle, Uop.imm(pc));
  if (!settleSse(v)) return STEP_EVENT;
  v128.store(target, result);
  return STEP_NEXT;
}

/** Scalar forms: U is the lane as bits, T the number. */
function scalarFloat<T, U>(v: usize, pc: usize, op: u32): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  const a = <u64>load<U>(target);
  const b = <u64>load<U>(ptr);
  if (hasHostForm(op) && isQuick(v)) {
    const quick = quickScalar<T>(op, a, b);
    if (quick != 0) {
      store<U>(target, <U>quick);
      return STEP_NEXT;
    }
  }
  const result = lane<T>(v, op, a, b, Uop.imm(pc));
  if (!settleSse(v)) return STEP_EVENT;
  store<U>(target, <U>result);
  return STEP_NEXT;
}

function hasHostForm(op: u32): bool {
  return op != S.SIMD_FMIN && op != S.SIMD_FMAX && op != S.SIMD_FCMP;
}

/** UCOMISS, UCOMISD and, which signal for quiet NaNs too, COMISS and COMISD. */
function compareToFlags<T, U>(v: usize, pc: usize, signals: bool): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const a = operand<T>(v, <u64>load<U>(Vec.xmm(v, Vec.r1(pc))));
  const b = operand<T>(v, <u64>load<U>(ptr));
  const related = relation<T>(v, a, b, signals);
  if (!settleSse(v)) return STEP_EVENT;
  let flags: u32 = 0;
  if (related == IS_LESS) flags = EFLAGS_CF;
  else if (related == IS_EQUAL) flags = EFLAGS_ZF;
  else if (related == IS_UNORDERED) flags = EFLAGS_ZF | EFLAGS_PF | EFLAGS_CF;
  setArithFlags(v, flags);
  return STEP_NEXT;
}

/** Every operation from SIMD_FADD to SIMD_CVT_DOUBLES. */
export function floatOperation(v: usize, pc: usize, op: u32): u32 {
  store<u32>(v, 0, VCPU_FX_FLAGS);
  const shape = (Uop.imm(pc) >>> SIMD_SHAPE_SHIFT) & 3;
  if (op <= S.SIMD_FCMP) {
    if (shape == SHAPE_SS) return scalarFloat<f32, u32>(v, pc, op);
    if (shape == SHAPE_SD) return scalarFloat<f64, u64>(v, pc, op);
    return packedFloat(v, pc, op, shape == SHAPE_PS);
  }
  if (op <= S.SIMD_RCP) return estimate(v, pc, op);
  if (op <= S.SIMD_COMIS) {
    const signals = op == S.SIMD_COMIS;
    if (shape == SHAPE_PD) return compareToFlags<f64, u64>(v, pc, signals);
    return compareToFlags<f32, u32>(v, pc, signals);
  }
  return convertOperation(v, pc, op, shape);
}
