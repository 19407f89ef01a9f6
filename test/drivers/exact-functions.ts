/**
 * The transcendental functions of the x87 in integers of as many bits as it takes, and their rounding: what a result must be.
 * Nothing is shared with the core: other reductions, other series, no limit of width.
 */

/** An 80-bit number: sign and exponent over the significand. */
export interface Extended {
  readonly se: number;
  readonly sig: bigint;
}

/** The functions; FSIN and FCOS also stand for the halves of FSINCOS. */
export type ExactName = "f2xm1" | "fyl2x" | "fyl2xp1" | "fpatan" | "fsin" | "fcos" | "fptan";

/** A rounded number and how it was rounded. */
export interface Rounded extends Extended {
  readonly isUp: boolean;
  readonly isTiny: boolean;
}

/** value = (isNegative ? -1 : 1) * magnitude * 2^-scale, cut off below. */
interface Real {
  readonly isNegative: boolean;
  readonly magnitude: bigint;
  readonly scale: number;
}

const BIAS = 0x3fff;
const SIG_BITS = 64;
/** Digits beyond what tiny operands need. */
const GUARD_BITS = 320;
/**
 * Below this exponent a function is its first term, but for less than 2^-400 of it, and only on which side of it the function lies
 * matters: that is the same for every exponent, so tiny operands are computed with this one.
 */
const EXP_TINY = -400;
/** pi/2 as the hardware knows it, times 2^65. */
const HALF_PI_66 = 0x3243f6a8885a308d3n;
const HALF_PI_66_SCALE = 65;

const isNegative = (x: Extended) => (x.se & 0x8000) !== 0;
const bitLength = (n: bigint) => (n === 0n ? 0 : n.toString(2).length);
/** |x| = sig * 2^(exponentOf - 63), also of denormals. */
const exponentOf = (x: Extended) => Math.max(x.se & 0x7fff, 1) - BIAS;
/** The power of two just above |x|. */
const sizeOf = (x: Extended) => exponentOf(x) - 63 + bitLength(x.sig);

function shift(n: bigint, by: number): bigint {
  return by >= 0 ? n << BigInt(by) : n >> BigInt(-by);
}
/** |x| * 2^scale, exact when the scale is large enough. */
function fixed(x: Extended, scale: number): bigint {
  return shift(x.sig, exponentOf(x) - 63 + scale);
}

/** An operand with its exponent raised to EXP_TINY if need be, and by how much. */
function raised(x: Extended): readonly [Extended, number] {
  const by = EXP_TINY + 1 - sizeOf(x);
  if (by <= 0) return [x, 0];
  const sig = x.sig << BigInt(SIG_BITS - bitLength(x.sig));
  return [{ se: (x.se & 0x8000) | (BIAS + EXP_TINY), sig }, by];
}

/** 2 artanh(s) = ln((1 + s) / (1 - s)). */
function twiceArtanh(s: bigint, scale: number): bigint {
  const shiftBy = BigInt(scale);
  const z = (s * s) >> shiftBy;
  let sum = 0n;
  for (let power = s, n = 1n; power !== 0n; power = (power * z) >> shiftBy, n += 2n) {
    sum += power / n;
  }
  return sum << 1n;
}
/** ln of a ratio of integers. */
function lnRatio(n: bigint, d: bigint, scale: number): bigint {
  return twiceArtanh(((n - d) << BigInt(scale)) / (n + d), scale);
}
/** More than any operand asks for. */
const LN2_SCALE = 2048;
let ln2AtScale: bigint | undefined;
function ln2(scale: number): bigint {
  ln2AtScale ??= lnRatio(2n, 1n, LN2_SCALE);
  return ln2AtScale >> BigInt(LN2_SCALE - scale);
}

function root(n: bigint): bigint {
  if (n === 0n) return 0n;
  let x = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}
/** atan t for 0 <= t <= 1, by halving the angle until the series is short. */
function atan(t: bigint, scale: number): bigint {
  const one = 1n << BigInt(scale);
  let halvings = 0;
  while (t > one >> 4n) {
    t = (t << BigInt(scale)) / (one + root((one << BigInt(scale)) + t * t));
    halvings++;
  }
  const z = (t * t) >> BigInt(scale);
  let sum = 0n;
  for (let power = t, n = 1n; power !== 0n; power = (power * z) >> BigInt(scale), n += 2n) {
    sum += n & 2n ? -(power / n) : power / n;
  }
  return sum << BigInt(halvings);
}

function f2xm1(x: Extended): Real {
  const scale = GUARD_BITS + 2 * Math.max(0, -sizeOf(x));
  let t = (fixed(x, scale) * ln2(scale)) >> BigInt(scale);
  if (isNegative(x)) t = -t;
  let sum = 0n;
  for (let term = t, n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = ((term * t) >> BigInt(scale)) / n;
  }
  return { isNegative: sum < 0n, magnitude: sum < 0n ? -sum : sum, scale };
}

/** y times log2 of n / d, where the logarithm is at least 2^-small. */
function yLog2(y: Extended, n: bigint, d: bigint, small: number): Real {
  const scale = GUARD_BITS + 2 * Math.max(0, small);
  const k = bitLength(n) - bitLength(d);
  const [a, b] = k > 0 ? [n, d << BigInt(k)] : [n << BigInt(-k), d];
  const log = (BigInt(k) << BigInt(scale)) + (lnRatio(a, b, scale) << BigInt(scale)) / ln2(scale);
  const magnitude = (log < 0n ? -log : log) * y.sig;
  return {
    isNegative: log < 0n !== isNegative(y),
    magnitude,
    scale: scale - (exponentOf(y) - 63),
  };
}
function fyl2x(x: Extended, y: Extended): Real {
  const e = exponentOf(x) - 63;
  return yLog2(y, e > 0 ? x.sig << BigInt(e) : x.sig, e < 0 ? 1n << BigInt(-e) : 1n, 64);
}
function fyl2xp1(x: Extended, y: Extended): Real {
  const d = 1n << BigInt(63 - exponentOf(x));
  return yLog2(y, isNegative(x) ? d - x.sig : d + x.sig, d, 2 - sizeOf(x));
}

/** The angle of (x, y), where the instruction has x in ST(0) and y in ST(1). */
function fpatan(x: Extended, y: Extended): Real {
  const distance = sizeOf(y) - sizeOf(x);
  const by = Math.max(0, EXP_TINY - distance);
  const e = Math.min(exponentOf(y) - exponentOf(x) + by, -2 * EXP_TINY);
  const [n, d] = [e > 0 ? y.sig << BigInt(e) : y.sig, e < 0 ? x.sig << BigInt(-e) : x.sig];
  const isSteep = n > d;
  const scale = GUARD_BITS + 3 * Math.min(Math.abs(distance), -2 * EXP_TINY);
  const small = isSteep ? (d << BigInt(scale)) / n : (n << BigInt(scale)) / d;
  let angle = atan(small, scale);
  const quarter = isSteep || isNegative(x) ? atan(1n << BigInt(scale), scale) : 0n;
  if (isSteep) angle = 2n * quarter - angle;
  if (isNegative(x)) angle = 4n * quarter - angle;
  return { isNegative: isNegative(y), magnitude: angle, scale: isNegative(x) ? scale : scale + by };
}

/** Sine or cosine of r, both with `scale` fraction bits. */
function sineOrCosine(r: bigint, scale: number, isSine: boolean): bigint {
  const z = (r * r) >> BigInt(scale);
  let sum = 0n;
  let n = isSine ? 2n : 1n;
  for (let term = isSine ? r : 1n << BigInt(scale); term !== 0n && term !== -1n; n += 2n) {
    sum += term;
    term = -((term * z) >> BigInt(scale)) / (n * (n + 1n));
  }
  return sum;
}
function circular(x: Extended, name: "fsin" | "fcos" | "fptan"): Real {
  const scale = GUARD_BITS + 3 * Math.max(64, -sizeOf(x));
  const halfPi = HALF_PI_66 << BigInt(scale - HALF_PI_66_SCALE);
  const magnitude = fixed(x, scale);
  const turns = (2n * magnitude + halfPi) / (2n * halfPi);
  const r = magnitude - turns * halfPi;
  const [quarter, isOdd] = [Number(turns & 3n), (turns & 1n) === 1n];
  const sine = sineOrCosine(r, scale, !isOdd) * (quarter >= 2 ? -1n : 1n);
  const cosine = sineOrCosine(r, scale, isOdd) * (quarter === 1 || quarter === 2 ? -1n : 1n);
  const value =
    name === "fsin" ? sine : name === "fcos" ? cosine : (sine << BigInt(scale)) / cosine;
  const isFlipped = name !== "fcos" && isNegative(x);
  return { isNegative: value < 0n !== isFlipped, magnitude: value < 0n ? -value : value, scale };
}

/** The value of a function for finite operands that are not zero, in the range that the manual gives for it. */
export function exactValue(name: ExactName, x: Extended, y: Extended): Real {
  if (name === "fyl2x") return fyl2x(x, y);
  if (name === "fpatan") return fpatan(x, y);
  const [operand, by] = raised(x);
  const lowered = (value: Real) => ({ ...value, scale: value.scale + by });
  if (name === "f2xm1") return lowered(f2xm1(operand));
  if (name === "fyl2xp1") return lowered(fyl2xp1(operand, y));
  const value = circular(operand, name);
  return name === "fcos" ? value : lowered(value);
}

/** Rounds a value to 64 bits by the rounding control (0 nearest, 1 down, 2 up, 3 to zero); it must not overflow. */
export function roundExact(value: Real, rounding: number): Rounded {
  const awayFromZero = rounding === (value.isNegative ? 1 : 2);
  const exponent = bitLength(value.magnitude) - 1 - value.scale;
  const isTiny = exponent + BIAS < 1;
  const bits = isTiny ? SIG_BITS - (1 - BIAS - exponent) : SIG_BITS;
  const unit = 1n << BigInt(bitLength(value.magnitude) - bits);
  const kept = value.magnitude / unit;
  const rest = value.magnitude % unit;
  const isNearerUp = 2n * rest > unit || (2n * rest === unit && (kept & 1n) === 1n);
  const isUp = rounding === 0 ? isNearerUp : awayFromZero && rest !== 0n;
  let sig = kept + (isUp ? 1n : 0n);
  let exp = isTiny ? 0 : exponent + BIAS;
  if (sig >> 64n) {
    sig >>= 1n;
    exp++;
  } else if (isTiny && sig >> 63n) exp = 1;
  return { se: (value.isNegative ? 0x8000 : 0) | exp, sig, isUp, isTiny };
}

/** Sign, exponent and significand as one integer, in which neighbouring numbers are neighbours. */
export function orderOf(x: Extended): bigint {
  const magnitude = (BigInt(Math.max(x.se & 0x7fff, 1)) << 63n) + x.sig;
  return isNegative(x) ? -magnitude : magnitude;
}
