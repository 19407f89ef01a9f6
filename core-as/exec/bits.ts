/**
 * Bit tests and bit scans.
 * Source: SDM 2, "BT", "BTC", "BTR", "BTS", "BSF", "BSR".
 */
import { VCPU_EA } from "../../abi/vcpu.ts";
import { BIT_ADDRESS_DONE } from "../decode/two-byte.ts";
import { rmRead, rmWrite, Uop } from "../decode/uop.ts";
import { commitWrite, translateRead, translateWrite } from "../mmu/access.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { Flags } from "../state/flags.ts";

const BIT_TEST: u32 = 0;
const BIT_SET: u32 = 1;
const BIT_RESET: u32 = 2;
const BIT_COMPLEMENT: u32 = 3;

/** Tests and changes bit `bit` of the operand at `p`, which is 0 after a fault. Only CF changes. */
function change<T>(v: usize, p: usize, op: u32, bit: u32): u32 {
  if (p == 0) return STEP_EVENT;
  const value = <u32>load<T>(p);
  const at = bit & (sizeof<T>() * 8 - 1);
  const mask: u32 = (<u32>1) << at;
  if (op != BIT_TEST) {
    let r = value ^ mask;
    if (op == BIT_SET) r = value | mask;
    if (op == BIT_RESET) r = value & ~mask;
    store<T>(p, <T>r);
    if (!commitWrite(v, p)) return STEP_EVENT;
  }
  Flags.carryOverflow(v, (value >>> at) & 1, Flags.of(v));
  return STEP_NEXT;
}

/**
 * The bit number is in a register; in memory it is a signed offset into a string of bits that starts at the EA. Where the segment
 * must be checked, bitAddress has applied it already and the immediate says so.
 */
function byRegister<T>(v: usize, pc: usize, op: u32): u32 {
  const bit = <u32>load<T>(Uop.r1(v, pc));
  if (!Uop.isMemory(pc)) return change<T>(v, Uop.r2(v, pc), op, bit);
  const lin = Uop.ea(v, pc) + (Uop.imm(pc) == BIT_ADDRESS_DONE ? 0 : bitStringOffset<T>(bit));
  const p =
    op == BIT_TEST ? translateRead(v, lin, sizeof<T>()) : translateWrite(v, lin, sizeof<T>());
  return change<T>(v, p, op, bit);
}

/** Leaves the EA plus the bit offset of r1 in VCPU_EA, before the segment is applied; the immediate is the operand size. */
export function bitAddress(v: usize, pc: usize): u32 {
  const bit = load<u32>(Uop.r1(v, pc));
  const offset = Uop.imm(pc) == 2 ? bitStringOffset<u16>(bit) : bitStringOffset<u32>(bit);
  store<u32>(v, Uop.ea(v, pc) + offset, VCPU_EA);
  return STEP_NEXT;
}

/** @returns signed byte offset, a multiple of the operand size, of the operand that holds bit `bit` of a bit string. */
export function bitStringOffset<T>(bit: u32): u32 {
  const wide = <i32>Flags.signExtend<T>(bit);
  return sizeof<T>() == 2 ? <u32>((wide >> 4) << 1) : <u32>((wide >> 5) << 2);
}

function byImmediate<T>(v: usize, pc: usize, op: u32): u32 {
  const p = op == BIT_TEST ? rmRead(v, pc, sizeof<T>()) : rmWrite(v, pc, sizeof<T>());
  return change<T>(v, p, op, Uop.imm(pc));
}

/** BT, BTS, BTR and BTC r/m, r. */
export function bt<T>(v: usize, pc: usize): u32 {
  return byRegister<T>(v, pc, BIT_TEST);
}
export function bts<T>(v: usize, pc: usize): u32 {
  return byRegister<T>(v, pc, BIT_SET);
}
export function btr<T>(v: usize, pc: usize): u32 {
  return byRegister<T>(v, pc, BIT_RESET);
}
export function btc<T>(v: usize, pc: usize): u32 {
  return byRegister<T>(v, pc, BIT_COMPLEMENT);
}

/** BT, BTS, BTR and BTC r/m, imm8: the number is taken modulo the operand width. */
export function btImm<T>(v: usize, pc: usize): u32 {
  return byImmediate<T>(v, pc, BIT_TEST);
}
export function btsImm<T>(v: usize, pc: usize): u32 {
  return byImmediate<T>(v, pc, BIT_SET);
}
export function btrImm<T>(v: usize, pc: usize): u32 {
  return byImmediate<T>(v, pc, BIT_RESET);
}
export function btcImm<T>(v: usize, pc: usize): u32 {
  return byImmediate<T>(v, pc, BIT_COMPLEMENT);
}

/** BSF r, r/m. A zero source sets ZF and leaves the destination alone. */
export function bsf<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const value = <u32>load<T>(p);
  if (value != 0) store<T>(Uop.r1(v, pc), <T>ctz<u32>(value));
  Flags.set(v, value, 0);
  return STEP_NEXT;
}
/** BSR r, r/m. A zero source sets ZF and leaves the destination alone. */
export function bsr<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const value = <u32>load<T>(p);
  if (value != 0) store<T>(Uop.r1(v, pc), <T>(31 - clz<u32>(value)));
  Flags.set(v, value, 0);
  return STEP_NEXT;
}
