/**
 * Packed integers and shuffles of SSE3 to SSE4.2, on 128-bit vectors. MMX forms use the low half and the same code.
 * Source: SDM 2B, the instruction of each name.
 */
import * as S from "../decode/simd-ops.ts";

function evenWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}
function oddWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}
function evenDwords(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 0, 2, 4, 6);
}
function oddDwords(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 1, 3, 5, 7);
}

/** @returns `a op b` for the operations on two vectors from SIMD_PSHUFB to SIMD_PMULLD, and the duplicating moves. */
export function laterPacked(op: u32, a: v128, b: v128): v128 {
  switch (op) {
    case S.SIMD_PSHUFB:
      // Bits 4-6 of a place are ignored; bit 7 asks for zero, which a place past 15 gives.
      return v128.swizzle(a, v128.and(b, i8x16.splat(<i8>0x8f)));
    case S.SIMD_PHADDW:
      return v128.add<i16>(evenWords(a, b), oddWords(a, b));
    case S.SIMD_PHADDD:
      return v128.add<i32>(evenDwords(a, b), oddDwords(a, b));
    case S.SIMD_PHADDSW:
      return v128.add_sat<i16>(evenWords(a, b), oddWords(a, b));
    case S.SIMD_PHSUBW:
      return v128.sub<i16>(evenWords(a, b), oddWords(a, b));
    case S.SIMD_PHSUBD:
      return v128.sub<i32>(evenDwords(a, b), oddDwords(a, b));
    case S.SIMD_PHSUBSW:
      return v128.sub_sat<i16>(evenWords(a, b), oddWords(a, b));
    case S.SIMD_PMADDUBSW:
      return productSums(a, b);
    case S.SIMD_PSIGNB: {
      const negative = v128.lt<i8>(b, i64x2.splat(0));
      const signed = v128.sub<i8>(v128.xor(a, negative), negative);
      return v128.andnot(signed, v128.eq<i8>(b, i64x2.splat(0)));
    }
    case S.SIMD_PSIGNW: {
      const negative = v128.lt<i16>(b, i64x2.splat(0));
      const signed = v128.sub<i16>(v128.xor(a, negative), negative);
      return v128.andnot(signed, v128.eq<i16>(b, i64x2.splat(0)));
    }
    case S.SIMD_PSIGND: {
      const negative = v128.lt<i32>(b, i64x2.splat(0));
      const signed = v128.sub<i32>(v128.xor(a, negative), negative);
      return v128.andnot(signed, v128.eq<i32>(b, i64x2.splat(0)));
    }
    case S.SIMD_PMULHRSW: {
      // Wasm saturates the one product that overflows, of -1 and -1; here it wraps to 0x8000, which is the complement.
      const least = i16x8.splat(-0x8000);
      const wraps = v128.and(v128.eq<i16>(a, least), v128.eq<i16>(b, least));
      return v128.xor(i16x8.q15mulr_sat_s(a, b), wraps);
    }
    case S.SIMD_PABSB:
      return v128.abs<i8>(b);
    case S.SIMD_PABSW:
      return v128.abs<i16>(b);
    case S.SIMD_PABSD:
      return v128.abs<i32>(b);
    case S.SIMD_PMULDQ:
      return v128.extmul_low<i32>(evenDwords(a, a), evenDwords(b, b));
    case S.SIMD_PCMPEQQ:
      return v128.eq<i64>(a, b);
    case S.SIMD_PCMPGTQ:
      return v128.gt<i64>(a, b);
    case S.SIMD_PACKUSDW:
      return v128.narrow<u32>(a, b);
    case S.SIMD_PMINSB:
      return v128.min<i8>(a, b);
    case S.SIMD_PMINSD:
      return v128.min<i32>(a, b);
    case S.SIMD_PMINUW:
      return v128.min<u16>(a, b);
    case S.SIMD_PMINUD:
      return v128.min<u32>(a, b);
    case S.SIMD_PMAXSB:
      return v128.max<i8>(a, b);
    case S.SIMD_PMAXSD:
      return v128.max<i32>(a, b);
    case S.SIMD_PMAXUW:
      return v128.max<u16>(a, b);
    case S.SIMD_PMAXUD:
      return v128.max<u32>(a, b);
    case S.SIMD_PMULLD:
      return v128.mul<i32>(a, b);
    case S.SIMD_MOVSLDUP:
      return v128.shuffle<u32>(b, b, 0, 0, 2, 2);
    default:
      return v128.shuffle<u32>(b, b, 1, 1, 3, 3);
  }
}

/** PMADDUBSW: unsigned bytes of `a` times signed ones of `b`, neighbours added and saturated. */
function productSums(a: v128, b: v128): v128 {
  const low = v128.mul<i16>(v128.extend_low<u8>(a), v128.extend_low<i8>(b));
  const high = v128.mul<i16>(v128.extend_high<u8>(a), v128.extend_high<i8>(b));
  return v128.add_sat<i16>(evenWords(low, high), oddWords(low, high));
}

/** PALIGNR: sixteen bytes from place `by` of `low` with `high` behind it, zeroes behind that. */
export function aligned(high: v128, low: v128, by: u32): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const from = v128.add<i8>(places, i8x16.splat(<i8>(by < 32 ? by : 32)));
  return v128.or(v128.swizzle(low, from), v128.swizzle(high, v128.sub<i8>(from, i8x16.splat(16))));
}

/** The blends: elements of `b` where the mask has its sign (XMM0) or, as words, the element's bit (an immediate), else of `a`. */
export function blended(op: u32, a: v128, b: v128, mask: v128): v128 {
  const zero = i64x2.splat(0);
  let chosen: v128;
  switch (op) {
    case S.SIMD_PBLENDVB: {
      chosen = v128.lt<i8>(mask, zero);
      break;
    }
    case S.SIMD_BLENDVPS: {
      chosen = v128.lt<i32>(mask, zero);
      break;
    }
    case S.SIMD_BLENDVPD: {
      chosen = v128.lt<i64>(mask, zero);
      break;
    }
    case S.SIMD_BLENDPS: {
      chosen = v128.gt<u16>(v128.and(mask, i16x8(1, 1, 2, 2, 4, 4, 8, 8)), zero);
      break;
    }
    case S.SIMD_BLENDPD: {
      chosen = v128.gt<u16>(v128.and(mask, i16x8(1, 1, 1, 1, 2, 2, 2, 2)), zero);
      break;
    }
    default:
      chosen = v128.gt<u16>(v128.and(mask, i16x8(1, 2, 4, 8, 16, 32, 64, 128)), zero);
  }
  return v128.bitselect(b, a, chosen);
}

/** MPSADBW. @param a, b pointers: eight windows of four bytes of `a` against one group of four of `b` */
export function differences(a: usize, b: usize, imm: u32): v128 {
  const from = a + (imm & 4);
  const group = b + ((imm & 3) << 2);
  let sum = i64x2.splat(0);
  for (let i: usize = 0; i < 4; i++) {
    const window = v128.load_ext<u8>(from + i);
    const byte = i16x8.splat(<i16>load<u8>(group + i));
    sum = v128.add<i16>(sum, v128.abs<i16>(v128.sub<i16>(window, byte)));
  }
  return sum;
}

/** INSERTPS: dword `imm` 6-7 of the source to place 4-5, then zeroes by bits 0-3. */
export function inserted(a: v128, b: usize, imm: u32): v128 {
  const all = i32x4.splat(load<i32>(b + ((imm >>> 6) << 2)));
  const places = i32x4(0, 1, 2, 3);
  const chosen = v128.eq<i32>(places, i32x4.splat((imm >>> 4) & 3));
  const kept = v128.eq<i32>(v128.and(i32x4.splat(imm), i32x4(1, 2, 4, 8)), i64x2.splat(0));
  return v128.and(v128.bitselect(all, a, chosen), kept);
}

/** PHMINPOSUW: the least word, and the first place of it. */
export function leastWord(ptr: usize): v128 {
  let least: u32 = load<u16>(ptr);
  let place: u32 = 0;
  for (let i: u32 = 1; i < 8; i++) {
    const word: u32 = load<u16>(ptr + (i << 1));
    if (word < least) {
      least = word;
      place = i;
    }
  }
  return i64x2.replace_lane(i64x2.splat(0), 0, least | (place << 16));
}

function pair(low: i64, high: i64): v128 {
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

/** PMOVSX and PMOVZX from `ptr`, of which only the bytes that are used are read. */
export function extended(op: u32, ptr: usize): v128 {
  switch (op) {
    case S.SIMD_PMOVSXBW:
      return v128.load_ext<i8>(ptr);
    case S.SIMD_PMOVSXBD:
      return v128.extend_low<i16>(v128.extend_low<i8>(v128.load_zero<u32>(ptr)));
    case S.SIMD_PMOVSXBQ:
      return pair(load<i8>(ptr), load<i8>(ptr, 1));
    case S.SIMD_PMOVSXWD:
      return v128.load_ext<i16>(ptr);
    case S.SIMD_PMOVSXWQ:
      return pair(load<i16>(ptr), load<i16>(ptr, 2));
    case S.SIMD_PMOVSXDQ:
      return v128.load_ext<i32>(ptr);
    case S.SIMD_PMOVZXBW:
      return v128.load_ext<u8>(ptr);
    case S.SIMD_PMOVZXBD:
      return v128.extend_low<u16>(v128.extend_low<u8>(v128.load_zero<u32>(ptr)));
    case S.SIMD_PMOVZXBQ:
      return pair(load<u8>(ptr), load<u8>(ptr, 1));
    case S.SIMD_PMOVZXWD:
      return v128.load_ext<u16>(ptr);
    case S.SIMD_PMOVZXWQ:
      return pair(load<u16>(ptr), load<u16>(ptr, 2));
    default:
      return v128.load_ext<u32>(ptr);
  }
}
