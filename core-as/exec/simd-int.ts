/**
 * Packed integer operations on 128-bit vectors. MMX forms use the low half and the same code (exec/mmx.ts).
 * Source: SDM 2B, the instruction of each name.
 */
import * as S from "../decode/simd-ops.ts";

/** @returns `a op b` for the operations from SIMD_PUNPCKLBW to SIMD_PXOR; `a` is the operand that gets replaced. */
export function packed(op: u32, a: v128, b: v128): v128 {
  switch (op) {
    case S.SIMD_PUNPCKLBW:
      return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case S.SIMD_PUNPCKLWD:
      return v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case S.SIMD_PUNPCKLDQ:
      return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
    case S.SIMD_PUNPCKLQDQ:
      return v128.shuffle<u64>(a, b, 0, 2);
    case S.SIMD_PUNPCKHBW:
      return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case S.SIMD_PUNPCKHWD:
      return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case S.SIMD_PUNPCKHDQ:
      return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
    case S.SIMD_PUNPCKHQDQ:
      return v128.shuffle<u64>(a, b, 1, 3);
    case S.SIMD_PACKSSWB:
      return v128.narrow<i16>(a, b);
    case S.SIMD_PACKUSWB:
      return v128.narrow<u16>(a, b);
    case S.SIMD_PACKSSDW:
      return v128.narrow<i32>(a, b);
    case S.SIMD_PCMPGTB:
      return v128.gt<i8>(a, b);
    case S.SIMD_PCMPGTW:
      return v128.gt<i16>(a, b);
    case S.SIMD_PCMPGTD:
      return v128.gt<i32>(a, b);
    case S.SIMD_PCMPEQB:
      return v128.eq<i8>(a, b);
    case S.SIMD_PCMPEQW:
      return v128.eq<i16>(a, b);
    case S.SIMD_PCMPEQD:
      return v128.eq<i32>(a, b);
    case S.SIMD_PADDB:
      return v128.add<i8>(a, b);
    case S.SIMD_PADDW:
      return v128.add<i16>(a, b);
    case S.SIMD_PADDD:
      return v128.add<i32>(a, b);
    case S.SIMD_PADDQ:
      return v128.add<i64>(a, b);
    case S.SIMD_PSUBB:
      return v128.sub<i8>(a, b);
    case S.SIMD_PSUBW:
      return v128.sub<i16>(a, b);
    case S.SIMD_PSUBD:
      return v128.sub<i32>(a, b);
    case S.SIMD_PSUBQ:
      return v128.sub<i64>(a, b);
    case S.SIMD_PADDSB:
      return v128.add_sat<i8>(a, b);
    case S.SIMD_PADDSW:
      return v128.add_sat<i16>(a, b);
    case S.SIMD_PADDUSB:
      return v128.add_sat<u8>(a, b);
    case S.SIMD_PADDUSW:
      return v128.add_sat<u16>(a, b);
    case S.SIMD_PSUBSB:
      return v128.sub_sat<i8>(a, b);
    case S.SIMD_PSUBSW:
      return v128.sub_sat<i16>(a, b);
    case S.SIMD_PSUBUSB:
      return v128.sub_sat<u8>(a, b);
    case S.SIMD_PSUBUSW:
      return v128.sub_sat<u16>(a, b);
    case S.SIMD_PMULLW:
      return v128.mul<i16>(a, b);
    case S.SIMD_PMULHW:
      return highWords(v128.extmul_low<i16>(a, b), v128.extmul_high<i16>(a, b));
    case S.SIMD_PMULHUW:
      return highWords(v128.extmul_low<u16>(a, b), v128.extmul_high<u16>(a, b));
    case S.SIMD_PMADDWD:
      return v128.dot<i16>(a, b);
    case S.SIMD_PMULUDQ:
      return v128.extmul_low<u32>(
        v128.shuffle<u32>(a, a, 0, 2, 0, 2),
        v128.shuffle<u32>(b, b, 0, 2, 0, 2),
      );
    case S.SIMD_PSADBW:
      return sumOfDifferences(a, b);
    case S.SIMD_PMINUB:
      return v128.min<u8>(a, b);
    case S.SIMD_PMAXUB:
      return v128.max<u8>(a, b);
    case S.SIMD_PMINSW:
      return v128.min<i16>(a, b);
    case S.SIMD_PMAXSW:
      return v128.max<i16>(a, b);
    case S.SIMD_PAVGB:
      return v128.avgr<u8>(a, b);
    case S.SIMD_PAVGW:
      return v128.avgr<u16>(a, b);
    case S.SIMD_PAND:
      return v128.and(a, b);
    case S.SIMD_PANDN:
      return v128.andnot(b, a);
    case S.SIMD_POR:
      return v128.or(a, b);
    default:
      return v128.xor(a, b);
  }
}

/** The upper words of eight 32-bit products. */
function highWords(low: v128, high: v128): v128 {
  return v128.shuffle<u16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
}

/** PSADBW: each half's sum of absolute differences, in its quadword. */
function sumOfDifferences(a: v128, b: v128): v128 {
  const difference = v128.or(v128.sub_sat<u8>(a, b), v128.sub_sat<u8>(b, a));
  const sums = v128.extadd_pairwise<u16>(v128.extadd_pairwise<u8>(difference));
  return v128.add<i64>(v128.and(sums, i64x2.splat(0xffffffff)), v128.shr<u64>(sums, 32));
}

/** @returns `a` shifted by `count`, for SIMD_PSRLW to SIMD_PSLLQ: counts past the element's width shift everything out. */
export function shifted(op: u32, a: v128, count: u64): v128 {
  const zero = i64x2.splat(0);
  const n = <i32>(count < 64 ? count : 64);
  switch (op) {
    case S.SIMD_PSRLW:
      return n < 16 ? v128.shr<u16>(a, n) : zero;
    case S.SIMD_PSRLD:
      return n < 32 ? v128.shr<u32>(a, n) : zero;
    case S.SIMD_PSRLQ:
      return n < 64 ? v128.shr<u64>(a, n) : zero;
    case S.SIMD_PSRAW:
      return v128.shr<i16>(a, n < 16 ? n : 15);
    case S.SIMD_PSRAD:
      return v128.shr<i32>(a, n < 32 ? n : 31);
    case S.SIMD_PSLLW:
      return n < 16 ? v128.shl<i16>(a, n) : zero;
    case S.SIMD_PSLLD:
      return n < 32 ? v128.shl<i32>(a, n) : zero;
    default:
      return n < 64 ? v128.shl<i64>(a, n) : zero;
  }
}

/** PSRLDQ, PSLLDQ: a shift of the whole register by `count` bytes. */
export function shiftedBytes(op: u32, a: v128, count: u32): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  // Places of 16 and more, negative ones included, come out as zero.
  const by = i8x16.splat(<i8>(count < 16 ? count : 16));
  return v128.swizzle(a, op == S.SIMD_PSRLDQ ? v128.add<i8>(places, by) : v128.sub<i8>(places, by));
}

/** @returns dword `n` (0-3) of a vector in memory. */
function dword(ptr: usize, n: u32): i32 {
  return load<i32>(ptr + ((n & 3) << 2));
}
/** Four words of `ptr` chosen by the pairs of bits in `imm`, as a quadword. */
function fourWords(ptr: usize, imm: u32): u64 {
  let out: u64 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    out |= (<u64>load<u16>(ptr + (((imm >>> (2 * i)) & 3) << 1))) << (16 * i);
  }
  return out;
}
function quads(low: u64, high: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

/** PSHUFW to SHUFPD. @param a pointer to the operand that gets replaced @param b pointer to the other */
export function shuffled(op: u32, a: usize, b: usize, imm: u32): v128 {
  switch (op) {
    case S.SIMD_PSHUFW:
      return quads(fourWords(b, imm), 0);
    case S.SIMD_PSHUFHW:
      return quads(load<u64>(b), fourWords(b + 8, imm));
    case S.SIMD_PSHUFLW:
      return quads(fourWords(b, imm), load<u64>(b, 8));
    case S.SIMD_SHUFPD:
      return quads(load<u64>(a + ((imm & 1) << 3)), load<u64>(b + ((imm & 2) << 2)));
    default:
  }
  // PSHUFD takes all four dwords from one operand, SHUFPS two from each.
  const first = op == S.SIMD_PSHUFD ? b : a;
  let out = i32x4.splat(dword(first, imm));
  out = i32x4.replace_lane(out, 1, dword(first, imm >>> 2));
  out = i32x4.replace_lane(out, 2, dword(b, imm >>> 4));
  return i32x4.replace_lane(out, 3, dword(b, imm >>> 6));
}
