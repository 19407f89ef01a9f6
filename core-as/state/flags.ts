/**
 * Lazy EFLAGS: every arithmetic instruction leaves two words, and each flag is a few bit operations on them.
 *
 *   RES  the result, sign-extended to 32 bits        ZF = RES == 0
 *   AUX  bit 31      carry out of the top bit        CF
 *        bit 30      carry into the top bit          OF = bit 31 xor bit 30
 *        bit 3       carry out of bit 3              AF
 *        bit 0       sign delta                      SF = sign(RES) xor bit 0
 *        bits 8-15   parity delta                    PF = even parity of (RES ^ AUX >> 8) & 0xff
 *
 * The deltas let POPF and the like express combinations that no result has (ZF and SF both set).
 * The state is in the vCPU block, so a snapshot at any exit is whole. Source: SDM 1, "Status Flags".
 */
import {
  VCPU_EFLAGS,
  VCPU_FLAG_AUX,
  VCPU_FLAG_RES,
  VCPU_RESUME,
  VCPU_RETIRED,
} from "../../abi/vcpu.ts";
import {
  EFLAGS_AF,
  EFLAGS_ARITH,
  EFLAGS_CF,
  EFLAGS_FIXED,
  EFLAGS_OF,
  EFLAGS_PF,
  EFLAGS_RF,
  EFLAGS_SF,
  EFLAGS_ZF,
} from "../../abi/x86.ts";

/** Bits of a carry vector that AUX keeps. */
const AUX_MASK: u32 = 0xc0000008;
const AUX_CF: u32 = 0x80000000;
const AUX_PO: u32 = 0x40000000;
const AUX_AF: u32 = 8;

/** Carry vectors, and the flags of each family of instructions. All are pure stores: nothing here can fault. */
export class Flags {
  /** Aligns the carry vector of a sizeof<T>-wide operation. */
  @inline static aux<T>(carries: u32): u32 {
    if (sizeof<T>() == 4) return carries & AUX_MASK;
    if (sizeof<T>() == 2) return ((carries << 16) & 0xc0000000) | (carries & 8);
    return ((carries << 24) & 0xc0000000) | (carries & 8);
  }
  @inline static signExtend<T>(value: u32): u32 {
    if (sizeof<T>() == 4) return value;
    if (sizeof<T>() == 2) return <u32>(<i32>(<i16>value));
    return <u32>(<i32>(<i8>value));
  }
  @inline static set(v: usize, res: u32, aux: u32): void {
    store<u32>(v, res, VCPU_FLAG_RES);
    store<u32>(v, aux, VCPU_FLAG_AUX);
  }
  /** r = a + b, with or without carry in. */
  @inline static add<T>(v: usize, a: u32, b: u32, r: u32): void {
    Flags.set(v, Flags.signExtend<T>(r), Flags.aux<T>((a & b) | ((a | b) & ~r)));
  }
  /** r = a - b, with or without borrow in. */
  @inline static sub<T>(v: usize, a: u32, b: u32, r: u32): void {
    Flags.set(v, Flags.signExtend<T>(r), Flags.aux<T>((~a & b) | ((~a | b) & r)));
  }
  /** AND, OR, XOR, TEST: CF = OF = 0, AF = 0 (undefined in the manual; silicon clears it). */
  @inline static logic<T>(v: usize, r: u32): void {
    Flags.set(v, Flags.signExtend<T>(r), 0);
  }
  /** INC: CF is kept. */
  @inline static inc<T>(v: usize, a: u32, r: u32): void {
    Flags.setKeepingCarry<T>(v, r, (a & 1) | ((a | 1) & ~r));
  }
  /** DEC: CF is kept. */
  @inline static dec<T>(v: usize, a: u32, r: u32): void {
    Flags.setKeepingCarry<T>(v, r, (~a & 1) | ((~a | 1) & r));
  }
  @inline static setKeepingCarry<T>(v: usize, r: u32, carries: u32): void {
    const fresh = Flags.aux<T>(carries);
    const overflow = (fresh ^ (fresh << 1)) & AUX_CF;
    const cf = load<u32>(v, VCPU_FLAG_AUX) & AUX_CF;
    Flags.set(
      v,
      Flags.signExtend<T>(r),
      cf | (((cf ^ overflow) >>> 1) & AUX_PO) | (fresh & AUX_AF),
    );
  }
  /** Result flags from r, CF and OF given as 0 or 1, AF cleared. */
  @inline static resultWithCarry<T>(v: usize, r: u32, cf: u32, overflow: u32): void {
    Flags.set(v, Flags.signExtend<T>(r), (cf << 31) | ((cf ^ overflow) << 30));
  }
  /** Changes CF and OF only (rotates). */
  @inline static carryOverflow(v: usize, cf: u32, overflow: u32): void {
    const rest = load<u32>(v, VCPU_FLAG_AUX) & 0x3fffffff;
    store<u32>(v, rest | (cf << 31) | ((cf ^ overflow) << 30), VCPU_FLAG_AUX);
  }

  @inline static cf(v: usize): u32 {
    return load<u32>(v, VCPU_FLAG_AUX) >>> 31;
  }
  @inline static of(v: usize): u32 {
    const aux = load<u32>(v, VCPU_FLAG_AUX);
    return (aux ^ (aux << 1)) >>> 31;
  }
  @inline static af(v: usize): u32 {
    return (load<u32>(v, VCPU_FLAG_AUX) >>> 3) & 1;
  }
  @inline static zf(v: usize): u32 {
    return u32(load<u32>(v, VCPU_FLAG_RES) == 0);
  }
  @inline static sf(v: usize): u32 {
    return (load<u32>(v, VCPU_FLAG_RES) >>> 31) ^ (load<u32>(v, VCPU_FLAG_AUX) & 1);
  }
  @inline static pf(v: usize): u32 {
    let b = (load<u32>(v, VCPU_FLAG_RES) ^ (load<u32>(v, VCPU_FLAG_AUX) >>> 8)) & 0xff;
    b ^= b >>> 4;
    return (0x9669 >>> (b & 15)) & 1;
  }

  /** @returns condition `cc` (0-15, the low nibble of Jcc) as 0 or 1. With a constant `cc` only one arm remains. */
  @inline static condition(v: usize, cc: u32): u32 {
    let c: u32 = 0;
    switch (cc >>> 1) {
      case 0: {
        c = Flags.of(v);
        break;
      }
      case 1: {
        c = Flags.cf(v);
        break;
      }
      case 2: {
        c = Flags.zf(v);
        break;
      }
      case 3: {
        c = Flags.cf(v) | Flags.zf(v);
        break;
      }
      case 4: {
        c = Flags.sf(v);
        break;
      }
      case 5: {
        c = Flags.pf(v);
        break;
      }
      case 6: {
        c = Flags.sf(v) ^ Flags.of(v);
        break;
      }
      default: {
        c = (Flags.sf(v) ^ Flags.of(v)) | Flags.zf(v);
        break;
      }
    }
    return c ^ (cc & 1);
  }
}

/** @returns the six arithmetic flags in their EFLAGS places. */
export function arithFlags(v: usize): u32 {
  return (
    Flags.cf(v) |
    (Flags.pf(v) << 2) |
    (Flags.af(v) << 4) |
    (Flags.zf(v) << 6) |
    (Flags.sf(v) << 7) |
    (Flags.of(v) << 11)
  );
}

/** Sets the six arithmetic flags from their EFLAGS places; other bits of `flags` are ignored. */
export function setArithFlags(v: usize, flags: u32): void {
  const zf = (flags & EFLAGS_ZF) != 0;
  // RES is 0 for ZF, else 1 (odd parity, positive); the deltas make up the difference.
  const res: u32 = zf ? 0 : 1;
  const cf: u32 = flags & EFLAGS_CF ? 1 : 0;
  const overflow: u32 = flags & EFLAGS_OF ? 1 : 0;
  const sf: u32 = flags & EFLAGS_SF ? 1 : 0;
  const af: u32 = flags & EFLAGS_AF ? AUX_AF : 0;
  const wantEven = (flags & EFLAGS_PF) != 0;
  const parityDelta: u32 = wantEven == zf ? 0 : 0x100;
  Flags.set(v, res, (cf << 31) | ((cf ^ overflow) << 30) | af | sf | parityDelta);
}

/** @returns the whole EFLAGS register. */
export function eflags(v: usize): u32 {
  return load<u32>(v, VCPU_EFLAGS) | arithFlags(v);
}

/** Sets every bit of EFLAGS but RF, which is setResume's; privilege rules are the caller's. */
export function setEflags(v: usize, flags: u32): void {
  setArithFlags(v, flags);
  store<u32>(v, (flags & ~EFLAGS_ARITH & 0x003e7fd5) | EFLAGS_FIXED, VCPU_EFLAGS);
}

/** Sets or clears EFLAGS.RF; the next instruction that retires clears it. VCPU_RETIRED must be exact. */
export function setResume(v: usize, resumes: bool): void {
  store<u64>(v, resumes ? load<u64>(v, VCPU_RETIRED) + 1 : 0, VCPU_RESUME);
}
/** @returns EFLAGS.RF. */
export function isResuming(v: usize): bool {
  return load<u64>(v, VCPU_RESUME) == load<u64>(v, VCPU_RETIRED) + 1;
}
/** @returns the whole EFLAGS register with RF, as an exception frame or a TSS shows it. */
export function flagsImage(v: usize): u32 {
  return eflags(v) | (isResuming(v) ? <u32>EFLAGS_RF : 0);
}
