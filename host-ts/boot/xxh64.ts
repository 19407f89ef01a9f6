/**
 * XXH64, the check of zstd frames, on halves of 32 bits: as BigInt it would take longer than the unpacking.
 * Source: Yann Collet's "xxHash fast digest algorithm", XXH64.
 */

type Long = [low: number, high: number];

const P1: Long = [0x85ebca87, 0x9e3779b1];
const P2: Long = [0x27d4eb4f, 0xc2b2ae3d];
const P3: Long = [0x9e3779f9, 0x165667b1];
const P4: Long = [0xc2b2ae63, 0x85ebca77];
const P5: Long = [0x165667c5, 0x27d4eb2f];
const STRIPE_BYTES = 32;

/** The lower half of XXH64 with seed 0, which is what zstd keeps. */
export function xxh64Low(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const laneAt = (at: number): Long => [view.getUint32(at, true), view.getUint32(at + 4, true)];
  let hash: Long = [...P5];
  let at = 0;
  if (bytes.length >= STRIPE_BYTES) {
    const lanes: Long[] = [add([...P1], P2), [...P2], [0, 0], subtract([0, 0], P1)];
    for (; at + STRIPE_BYTES <= bytes.length; at += STRIPE_BYTES) {
      for (const [i, lane] of lanes.entries()) round(lane, laneAt(at + 8 * i));
    }
    hash = [0, 0];
    for (const [i, bits] of [1, 7, 12, 18].entries()) add(hash, rotate([...lanes[i]!], bits));
    for (const lane of lanes) add(multiply(xor(hash, round([0, 0], lane)), P1), P4);
  }
  add(hash, [bytes.length, 0]);
  for (; at + 8 <= bytes.length; at += 8) {
    add(multiply(rotate(xor(hash, round([0, 0], laneAt(at))), 27), P1), P4);
  }
  if (at + 4 <= bytes.length) {
    add(multiply(rotate(xor(hash, multiply([view.getUint32(at, true), 0], P1)), 23), P2), P3);
    at += 4;
  }
  for (; at < bytes.length; at++) {
    multiply(rotate(xor(hash, multiply([bytes[at]!, 0], P5)), 11), P1);
  }
  multiply(foldDown(hash, 33), P2);
  multiply(foldDown(hash, 29), P3);
  // The last fold is by 32 bits.
  return (hash[0] ^ hash[1]) >>> 0;
}

/* All of these change their first argument and return it. */

function round(lane: Long, input: Long): Long {
  return multiply(rotate(add(lane, multiply(input.slice() as Long, P2)), 31), P1);
}

function add(a: Long, b: Long): Long {
  const low = (a[0] >>> 0) + (b[0] >>> 0);
  a[1] = (a[1] + b[1] + (low > 0xffffffff ? 1 : 0)) | 0;
  a[0] = low | 0;
  return a;
}

function subtract(a: Long, b: Long): Long {
  const borrow = a[0] >>> 0 < b[0] >>> 0 ? 1 : 0;
  a[1] = (a[1] - b[1] - borrow) | 0;
  a[0] = (a[0] - b[0]) | 0;
  return a;
}

function xor(a: Long, b: Long): Long {
  a[0] ^= b[0];
  a[1] ^= b[1];
  return a;
}

/** @param bits 1 to 31 */
function rotate(a: Long, bits: number): Long {
  const [low, high] = a;
  a[0] = (low << bits) | (high >>> (32 - bits));
  a[1] = (high << bits) | (low >>> (32 - bits));
  return a;
}

/** Xors itself, shifted to the right. @param bits 1 to 63 */
function foldDown(a: Long, bits: number): Long {
  const [low, high] = a;
  if (bits >= 32) {
    a[0] = low ^ (high >>> (bits - 32));
    return a;
  }
  a[0] = low ^ ((low >>> bits) | (high << (32 - bits)));
  a[1] = high ^ (high >>> bits);
  return a;
}

/** The lower 64 bits of the product. */
function multiply(a: Long, b: Long): Long {
  const [low, high] = a;
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = b[0] & 0xffff;
  const b1 = b[0] >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carried = a0 * b1 + (middle & 0xffff);
  const carry = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000);
  a[1] = (carry + Math.imul(low, b[1]) + Math.imul(high, b[0])) | 0;
  a[0] = Math.imul(low, b[0]);
  return a;
}
