/**
 * Multiplication, division, decimal adjustment, sign extension, flag instructions and the exchange family.
 * Source: SDM 2, the instruction's own page. Flags that the manuals leave undefined are what AMD silicon gives or unchanged.
 */
import { VCPU_EFLAGS, VCPU_GPR } from "../../abi/vcpu.ts";
import {
  EFLAGS_AF,
  EFLAGS_CF,
  EFLAGS_DF,
  EFLAGS_FIXED,
  EFLAGS_OF,
  EFLAGS_PF,
  EFLAGS_SF,
  EFLAGS_ZF,
  VECTOR_DE,
} from "../../abi/x86.ts";
import { rmRead, rmWrite, Uop } from "../decode/uop.ts";
import { commitWrite, translateRead, translateWrite } from "../mmu/access.ts";
import { raise, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { arithFlags, Flags, setArithFlags } from "../state/flags.ts";

const EAX: usize = VCPU_GPR;
const AH: usize = VCPU_GPR + 1;
const ECX: usize = VCPU_GPR + 4;
const EDX: usize = VCPU_GPR + 8;
const EBX: usize = VCPU_GPR + 12;

/** MUL r/m: AX, DX:AX or EDX:EAX = accumulator × r/m. CF = OF = upper half not zero. */
export function mul<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const product = <u64>load<T>(v, EAX) * <u64>load<T>(p);
  storeProduct<T>(v, product);
  const cf = u32(product >> (sizeof<T>() * 8) != 0);
  Flags.carryOverflow(v, cf, cf);
  return STEP_NEXT;
}

/** IMUL r/m, one operand: like MUL but signed. CF = OF = the upper half is not the sign extension of the lower one. */
export function imul1<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const product = signed<T>(load<T>(v, EAX)) * signed<T>(load<T>(p));
  storeProduct<T>(v, product);
  const cf = u32(product != signed<T>(<T>product));
  Flags.carryOverflow(v, cf, cf);
  return STEP_NEXT;
}

/** IMUL r, r/m. */
export function imul2<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  return imulInto<T>(v, pc, load<T>(Uop.r1(v, pc)), load<T>(p));
}

/** IMUL r, r/m, imm. */
export function imul3<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  return imulInto<T>(v, pc, <T>Uop.imm(pc), load<T>(p));
}

function imulInto<T>(v: usize, pc: usize, a: T, b: T): u32 {
  const product = signed<T>(a) * signed<T>(b);
  store<T>(Uop.r1(v, pc), <T>product);
  const cf = u32(product != signed<T>(<T>product));
  Flags.resultWithCarry<T>(v, <u32>(<T>product), cf, cf);
  return STEP_NEXT;
}

function signed<T>(value: T): i64 {
  return <i64>(<i32>Flags.signExtend<T>(<u32>value));
}

function storeProduct<T>(v: usize, product: u64): void {
  if (sizeof<T>() == 1) {
    store<u16>(v, <u16>product, EAX);
  } else {
    store<T>(v, <T>product, EAX);
    store<T>(v, <T>(product >> (sizeof<T>() * 8)), EDX);
  }
}

/** AX, DX:AX or EDX:EAX, zero-extended. */
function dividend<T>(v: usize): u64 {
  if (sizeof<T>() == 1) return load<u16>(v, EAX);
  const high = <u64>load<T>(v, EDX);
  const width: u64 = sizeof<T>() * 8;
  return (high << width) | <u64>load<T>(v, EAX);
}

function storeQuotient<T>(v: usize, quotient: u64, remainder: u64): void {
  store<T>(v, <T>quotient, EAX);
  store<T>(v, <T>remainder, sizeof<T>() == 1 ? AH : EDX);
}

/** DIV r/m. #DE for a zero divisor or a quotient that does not fit. Flags are left alone. */
export function div<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const divisor = <u64>load<T>(p);
  if (divisor == 0) return divideError(v);
  const value = dividend<T>(v);
  const quotient = value / divisor;
  if (quotient >> (sizeof<T>() * 8) != 0) return divideError(v);
  storeQuotient<T>(v, quotient, value % divisor);
  return STEP_NEXT;
}

/** IDIV r/m. #DE for a zero divisor or a quotient that does not fit. Flags are left alone. */
export function idiv<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const divisor = signed<T>(load<T>(p));
  if (divisor == 0) return divideError(v);
  let value = <i64>dividend<T>(v);
  if (sizeof<T>() == 1) value = <i64>(<i16>value);
  if (sizeof<T>() == 2) value = <i64>(<i32>value);
  // Wasm traps on the one signed division that overflows; its quotient does not fit at any width.
  if (divisor == -1 && value == i64.MIN_VALUE) return divideError(v);
  const quotient = value / divisor;
  if (quotient != signed<T>(<T>quotient)) return divideError(v);
  storeQuotient<T>(v, quotient, value % divisor);
  return STEP_NEXT;
}

function divideError(v: usize): u32 {
  raise(v, VECTOR_DE);
  return STEP_EVENT;
}

/** Sets SF, ZF and PF from AL, CF and AF as given, OF cleared. */
function decimalFlags(v: usize, al: u32, cf: bool, af: bool): void {
  Flags.logic<u8>(v, al);
  setArithFlags(
    v,
    (arithFlags(v) & (EFLAGS_SF | EFLAGS_ZF | EFLAGS_PF)) |
      (cf ? EFLAGS_CF : 0) |
      (af ? EFLAGS_AF : 0),
  );
}

/** AAA. */
export function aaa(v: usize, _pc: usize): u32 {
  let ax: u32 = load<u16>(v, EAX);
  const adjust = (ax & 15) > 9 || Flags.af(v) != 0;
  if (adjust) ax += 0x106;
  store<u16>(v, <u16>(ax & 0xff0f), EAX);
  decimalFlags(v, ax & 0x0f, adjust, adjust);
  return STEP_NEXT;
}
/** AAS. */
export function aas(v: usize, _pc: usize): u32 {
  let ax: u32 = load<u16>(v, EAX);
  const adjust = (ax & 15) > 9 || Flags.af(v) != 0;
  if (adjust) ax -= 0x106;
  store<u16>(v, <u16>(ax & 0xff0f), EAX);
  decimalFlags(v, ax & 0x0f, adjust, adjust);
  return STEP_NEXT;
}
/** DAA. */
export function daa(v: usize, _pc: usize): u32 {
  const old: u32 = load<u8>(v, EAX);
  let al = old;
  const af = (old & 15) > 9 || Flags.af(v) != 0;
  const cf = old > 0x99 || Flags.cf(v) != 0;
  if (af) al += 6;
  if (cf) al += 0x60;
  al &= 0xff;
  store<u8>(v, <u8>al, EAX);
  decimalFlags(v, al, cf, af);
  return STEP_NEXT;
}
/** DAS. A borrow out of the low adjustment sets CF too. */
export function das(v: usize, _pc: usize): u32 {
  const old: u32 = load<u8>(v, EAX);
  let al = old;
  const af = (old & 15) > 9 || Flags.af(v) != 0;
  const high = old > 0x99 || Flags.cf(v) != 0;
  const cf = high || (af && old < 6);
  if (af) al -= 6;
  if (high) al -= 0x60;
  al &= 0xff;
  store<u8>(v, <u8>al, EAX);
  decimalFlags(v, al, cf, af);
  return STEP_NEXT;
}
/** AAM imm8: AH = AL / imm, AL = AL mod imm. #DE for 0. */
export function aam(v: usize, pc: usize): u32 {
  const base = Uop.imm(pc) & 0xff;
  if (base == 0) return divideError(v);
  const al: u32 = load<u8>(v, EAX);
  store<u16>(v, <u16>(((al / base) << 8) | (al % base)), EAX);
  Flags.logic<u8>(v, al % base);
  return STEP_NEXT;
}
/** AAD imm8: AL = AL + AH × imm, AH = 0. */
export function aad(v: usize, pc: usize): u32 {
  const al = (<u32>load<u8>(v, EAX) + <u32>load<u8>(v, AH) * (Uop.imm(pc) & 0xff)) & 0xff;
  store<u16>(v, <u16>al, EAX);
  Flags.logic<u8>(v, al);
  return STEP_NEXT;
}

/** CBW (u16) and CWDE (u32): sign-extends the lower half of the accumulator into all of it. */
export function cbw<T>(v: usize, _pc: usize): u32 {
  if (sizeof<T>() == 2) store<u16>(v, <u16>(<i16>load<i8>(v, EAX)), EAX);
  else store<u32>(v, <u32>(<i32>load<i16>(v, EAX)), EAX);
  return STEP_NEXT;
}
/** CWD (u16) and CDQ (u32): fills DX or EDX with the sign of the accumulator. */
export function cwd<T>(v: usize, _pc: usize): u32 {
  if (sizeof<T>() == 2) store<u16>(v, <u16>(load<i16>(v, EAX) >> 15), EDX);
  else store<i32>(v, load<i32>(v, EAX) >> 31, EDX);
  return STEP_NEXT;
}

/** XLAT: AL = byte at the operand's address, which the decoder made from [EBX + AL] by an address micro-op. */
export function xlat(v: usize, pc: usize): u32 {
  const p = translateRead(v, Uop.ea(v, pc), 1);
  if (p == 0) return STEP_EVENT;
  store<u8>(v, load<u8>(p), EAX);
  return STEP_NEXT;
}

/** LAHF: AH = SF ZF 0 AF 0 PF 1 CF. */
export function lahf(v: usize, _pc: usize): u32 {
  store<u8>(v, <u8>(arithFlags(v) | EFLAGS_FIXED), AH);
  return STEP_NEXT;
}
/** SAHF: SF ZF AF PF CF from AH; OF is kept. */
export function sahf(v: usize, _pc: usize): u32 {
  setArithFlags(v, (arithFlags(v) & EFLAGS_OF) | load<u8>(v, AH));
  return STEP_NEXT;
}
export function cmc(v: usize, _pc: usize): u32 {
  Flags.carryOverflow(v, Flags.cf(v) ^ 1, Flags.of(v));
  return STEP_NEXT;
}
export function clc(v: usize, _pc: usize): u32 {
  Flags.carryOverflow(v, 0, Flags.of(v));
  return STEP_NEXT;
}
export function stc(v: usize, _pc: usize): u32 {
  Flags.carryOverflow(v, 1, Flags.of(v));
  return STEP_NEXT;
}
export function cld(v: usize, _pc: usize): u32 {
  store<u32>(v, load<u32>(v, VCPU_EFLAGS) & ~EFLAGS_DF, VCPU_EFLAGS);
  return STEP_NEXT;
}
export function std(v: usize, _pc: usize): u32 {
  store<u32>(v, load<u32>(v, VCPU_EFLAGS) | EFLAGS_DF, VCPU_EFLAGS);
  return STEP_NEXT;
}
/** SALC: AL = CF ? 0xff : 0. */
export function salc(v: usize, _pc: usize): u32 {
  store<u8>(v, <u8>(0 - Flags.cf(v)), EAX);
  return STEP_NEXT;
}

/** CMPXCHG r/m, r: the destination is written (with its old value) even when the comparison fails. */
export function cmpxchg<T>(v: usize, pc: usize): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const old = load<T>(p);
  const acc = load<T>(v, EAX);
  const isEqual = old == acc;
  store<T>(p, isEqual ? load<T>(Uop.r1(v, pc)) : old);
  if (!commitWrite(v, p)) return STEP_EVENT;
  if (!isEqual) store<T>(v, old, EAX);
  Flags.sub<T>(v, <u32>acc, <u32>old, <u32>acc - <u32>old);
  return STEP_NEXT;
}

/** CMPXCHG8B m64: compares EDX:EAX, stores ECX:EBX; only ZF changes. */
export function cmpxchg8b(v: usize, pc: usize): u32 {
  const p = translateWrite(v, Uop.ea(v, pc), 8);
  if (p == 0) return STEP_EVENT;
  const old = load<u64>(p);
  const expected = ((<u64>load<u32>(v, EDX)) << 32) | <u64>load<u32>(v, EAX);
  const isEqual = old == expected;
  store<u64>(p, isEqual ? ((<u64>load<u32>(v, ECX)) << 32) | <u64>load<u32>(v, EBX) : old);
  if (!commitWrite(v, p)) return STEP_EVENT;
  if (!isEqual) {
    store<u32>(v, <u32>old, EAX);
    store<u32>(v, <u32>(old >> 32), EDX);
  }
  setArithFlags(v, (arithFlags(v) & ~EFLAGS_ZF) | (isEqual ? EFLAGS_ZF : 0));
  return STEP_NEXT;
}

/** XADD r/m, r. */
export function xadd<T>(v: usize, pc: usize): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const source = Uop.r1(v, pc);
  const a = load<T>(p);
  const b = load<T>(source);
  store<T>(p, <T>(<u32>a + <u32>b));
  if (!commitWrite(v, p)) return STEP_EVENT;
  if (p != source) store<T>(source, a);
  Flags.add<T>(v, <u32>a, <u32>b, <u32>a + <u32>b);
  return STEP_NEXT;
}

/** XCHG r/m, r. */
export function xchgRm<T>(v: usize, pc: usize): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const source = Uop.r1(v, pc);
  const old = load<T>(p);
  store<T>(p, load<T>(source));
  if (!commitWrite(v, p)) return STEP_EVENT;
  store<T>(source, old);
  return STEP_NEXT;
}

/** BSWAP r1; with a 16-bit operand the result is undefined in the manuals and 0 on silicon. */
export function bswapReg<T>(v: usize, pc: usize): u32 {
  const p = Uop.r1(v, pc);
  if (sizeof<T>() == 2) store<u16>(p, 0);
  else store<u32>(p, bswap<u32>(load<u32>(p)));
  return STEP_NEXT;
}
