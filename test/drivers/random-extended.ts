/** Operands for the transcendental functions: every exponent in the range of each, and the places where they are hard. */
import type { ExactName, Extended } from "./exact-functions.ts";
import type { Random } from "./random.ts";

const BIAS = 0x3fff;
const SIG_J = 1n << 63n;
/** sqrt 2 - 1 and 1 - sqrt 1/2: the bounds of FYL2XP1, at exponent -2. */
const UPPER_BOUND = 0xd413cccfe7799211n;
const LOWER_BOUND = 0x95f619980c4336f7n;
/** pi/2, at exponent 0. */
const HALF_PI = 0xc90fdaa22168c235n;

/** A significand: random, few bits, or close to a power of two. */
function significand(random: Random): bigint {
  const bits = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  const few = 1n << BigInt(random.below(63));
  const some = [bits, bits, bits, few, few - 1n, -few, (bits >> 40n) << 40n][random.below(7)]!;
  return SIG_J | BigInt.asUintN(63, some);
}

/** A number with its exponent, not biased, from `least` to `greatest`; a denormal below the smallest one. */
function between(random: Random, least: number, greatest: number, signs = true): Extended {
  const exp = least + random.below(greatest - least + 1);
  const sign = signs && random.below(2) === 1 ? 0x8000 : 0;
  const biased = exp + BIAS;
  if (biased >= 1) return { se: sign | biased, sig: significand(random) };
  const sig = significand(random) >> BigInt(1 - biased);
  return { se: sign, sig: sig === 0n ? 1n : sig };
}

/** Mostly exponents near that of 1, some anywhere. */
function anywhere(random: Random, near: number, least: number, greatest: number): Extended {
  const [low, high] = [Math.max(-near, least), Math.min(near, greatest)];
  return random.below(6) === 0 ? between(random, least, greatest) : between(random, low, high);
}

function nearHalfPi(random: Random): Extended {
  const turns = BigInt(1 + random.below(1 << random.below(20)));
  const product = HALF_PI * turns;
  const length = product.toString(2).length;
  const sig = (product >> BigInt(length - 64)) + BigInt(random.below(9) - 4);
  return { se: (random.below(2) << 15) | (BIAS + length - 64), sig };
}

/** ST(0) and ST(1) for a function. */
export function randomOperands(random: Random, name: ExactName): readonly [Extended, Extended] {
  const y = anywhere(random, 40, -15000, 15000);
  switch (name) {
    case "f2xm1":
      return [anywhere(random, 70, -16440, -1), y];
    case "fyl2x": {
      if (random.below(3) > 0) return [between(random, -16440, 16383, false), y];
      // Close to 1, on both sides.
      const distance = SIG_J >> BigInt(random.below(64));
      const isBelow = random.below(2) === 1;
      return [
        {
          se: isBelow ? BIAS - 1 : BIAS,
          sig: isBelow ? (SIG_J << 1n) - (distance >> 1n || 1n) : SIG_J + (distance >> 1n || 1n),
        },
        y,
      ];
    }
    case "fyl2xp1": {
      const x = anywhere(random, 70, -16440, -2);
      const isNegative = (x.se & 0x8000) !== 0;
      const isOut =
        (x.se & 0x7fff) === BIAS - 2 && x.sig > (isNegative ? LOWER_BOUND : UPPER_BOUND);
      return [isOut ? { ...x, se: x.se - 1 } : x, y];
    }
    case "fpatan": {
      if (random.below(20) === 0) return [between(random, -16440, 16383), y];
      const x = anywhere(random, 40, -16440, 16383);
      const near = (x.se & 0x7fff) - BIAS;
      const distance = random.pick([1, 1, 7, 70]);
      const [least, greatest] = [
        Math.max(near - distance, -16440),
        Math.min(near + distance, 16383),
      ];
      return [x, between(random, least, greatest)];
    }
    default:
      return [random.below(4) === 0 ? nearHalfPi(random) : anywhere(random, 62, -16440, 62), y];
  }
}
