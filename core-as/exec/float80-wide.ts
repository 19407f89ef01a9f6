/**
 * Numbers of 128 bits, in which transcendental functions are computed: with some 120 good bits the rounding to 64 is correct but for
 * a chance of 2^-50 or so. A wide number is two words; a function returns the high one and leaves the low one in FX_LOW.
 */
import { Fx, roundToBits } from "./float80.ts";
import { divide128 } from "./float80-arith.ts";

/** Offset of the high word in an entry of a table of wide fractions; the low one comes first. */
const HIGH = 8;
const ENTRY_SHIFT: u32 = 4;

/** @returns the high half of a * b, up to 2 units of its last place too small. */
export function multiplyWide(v: usize, aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): u64 {
  let low = aHigh * bHigh;
  let high = Fx.mulHigh(aHigh, bHigh);
  let cross = Fx.mulHigh(aHigh, bLow);
  low += cross;
  high += u64(low < cross);
  cross = Fx.mulHigh(aLow, bHigh);
  low += cross;
  Fx.setLow(v, low);
  return high + u64(low < cross);
}

/** @returns n / d as a fraction, for n < d with bit 127 of d set, up to 2 units of the last place too large. */
export function divideWide(v: usize, nHigh: u64, nLow: u64, dHigh: u64, dLow: u64): u64 {
  let high = quotientWord(v, nHigh, nLow, dHigh);
  // The rest, n * 2^64 - high * d, in three words.
  const product = high * dLow;
  let low: u64 = 0 - product;
  const takenLow = Fx.mulHigh(high, dLow);
  let taken = high * dHigh + takenLow;
  let top = nHigh - Fx.mulHigh(high, dHigh) - u64(taken < takenLow);
  const borrow = u64(product != 0);
  top -= u64(nLow < taken) + u64(nLow - taken < borrow);
  taken = nLow - taken - borrow;
  while (<i64>top < 0) {
    high--;
    low += dLow;
    const carry = u64(low < dLow);
    const sum = taken + dHigh;
    top += u64(sum < dHigh) + u64(sum + carry < sum);
    taken = sum + carry;
  }
  Fx.setLow(v, quotientWord(v, taken, low, dHigh));
  return high;
}

/** @returns hi:lo / d, or the largest word when there is none that large. */
function quotientWord(v: usize, hi: u64, lo: u64, d: u64): u64 {
  return hi >= d ? ~(<u64>0) : divide128(v, hi, lo, d);
}

/**
 * @returns z c[0] + z^2 c[1] + ... for the `n` entries of a table `c` and z < 1, or with alternating signs z c[0] - z^2 c[1] + ...
 * Each term must be smaller than the one before. From the entry `wide` on one word is enough: the low one (`tail` 0) where the
 * entries have no more, or the high one (`tail` 8) where the powers of z make the other worthless.
 */
export function series(
  v: usize,
  c: usize,
  n: u32,
  wide: u32,
  tail: u32,
  zHigh: u64,
  zLow: u64,
  alternates: bool,
): u64 {
  const middle = c + (wide << ENTRY_SHIFT);
  let p = c + (n << ENTRY_SHIFT);
  let word: u64 = 0;
  while (p > middle) {
    p -= 1 << ENTRY_SHIFT;
    const next = Fx.mulHigh(word, zHigh);
    const entry = load<u64>(p + tail);
    word = alternates ? entry - next : entry + next;
  }
  let hi = tail != 0 ? word : 0;
  let lo = tail != 0 ? 0 : word;
  while (p > c) {
    p -= 1 << ENTRY_SHIFT;
    const high = multiplyWide(v, hi, lo, zHigh, zLow);
    const low = Fx.low(v);
    const entry = load<u64>(p);
    if (alternates) {
      lo = entry - low;
      hi = load<u64>(p, HIGH) - high - u64(entry < low);
    } else {
      lo = entry + low;
      hi = load<u64>(p, HIGH) + high + u64(lo < low);
    }
  }
  return multiplyWide(v, hi, lo, zHigh, zLow);
}

/** @returns r^2 as a wide fraction, for a normalized wide r with exponent below 0. */
export function square(v: usize, hi: u64, lo: u64, exp: i32): u64 {
  const high = multiplyWide(v, hi, lo, hi, lo);
  const n = -(exp * 2 + 2);
  Fx.setLow(v, Fx.shiftLow(high, Fx.low(v), n));
  return Fx.shiftHigh(high, n);
}

/** Normalizes hi:lo (not zero) and rounds it to 64 bits as an inexact result; `exp` belongs to bit 63 of hi. */
export function roundInexact(v: usize, sign: u32, exp: i32, hi: u64, lo: u64): void {
  if (hi == 0) {
    hi = lo;
    lo = 0;
    exp -= 64;
  }
  const zeros = <i32>clz(hi);
  if (zeros != 0) {
    hi = (hi << zeros) | (lo >> (64 - zeros));
    lo <<= zeros;
  }
  // An irrational result is never exact, whatever its first 128 bits look like.
  roundToBits(v, sign, exp - zeros, hi, lo | 1, 64);
}
