/**
 * Instructions on general registers that came with SSE4.2 and beside it: POPCNT, MOVBE, CRC32.
 * Source: SDM 2A and 2B, the instruction of each name.
 */
import { EFLAGS_ZF } from "../../abi/x86.ts";
import { rmRead, Uop } from "../decode/uop.ts";
import { storeValue } from "../mmu/access.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { setArithFlags } from "../state/flags.ts";

/** POPCNT r, r/m: ZF for a source of 0, the other five flags cleared. */
export function popcount<T>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>());
  if (ptr == 0) return STEP_EVENT;
  const count = popcnt<u32>(<u32>load<T>(ptr));
  store<T>(Uop.r1(v, pc), <T>count);
  setArithFlags(v, count == 0 ? EFLAGS_ZF : 0);
  return STEP_NEXT;
}

/** MOVBE r, m. */
export function loadSwapped<T extends number>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>());
  if (ptr == 0) return STEP_EVENT;
  store<T>(Uop.r1(v, pc), bswap<T>(load<T>(ptr)));
  return STEP_NEXT;
}
/** MOVBE m, r. */
export function storeSwapped<T extends number>(v: usize, pc: usize): u32 {
  const value = bswap<T>(load<T>(Uop.r1(v, pc)));
  return storeValue<T>(v, Uop.ea(v, pc), value) ? STEP_NEXT : STEP_EVENT;
}

/** The polynomial 0x11edc6f41 with its bits reversed, as the register holds the remainder. */
const POLYNOMIAL: u32 = 0x82f63b78;

/** CRC32 r32, r/m: takes sizeof<T> bytes into the remainder, lowest bit first. */
export function crc32<T>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>());
  if (ptr == 0) return STEP_EVENT;
  const target = Uop.r1(v, pc);
  let rest = load<u32>(target) ^ <u32>load<T>(ptr);
  for (let i: u32 = 0; i < 8 * sizeof<T>(); i++) rest = (rest >>> 1) ^ (POLYNOMIAL & -(rest & 1));
  store<u32>(target, rest);
  return STEP_NEXT;
}
