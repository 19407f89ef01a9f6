/**
 * FXSAVE and FXRSTOR: the 512-byte image of x87 and SSE state.
 * The pointers of the last instruction are saved always, as by Intel's processors; AMD's leave them out unless an exception is pending.
 * Source: SDM 1, "FXSAVE and FXRSTOR Instructions"; SDM 2A, "FXSAVE—Save x87 FPU, MMX Technology, and SSE State", table of the layout.
 */

import { MXCSR_DEFINED } from "../../abi/sse.ts";
import {
  VCPU_BOUNCE,
  VCPU_CR0,
  VCPU_FCS,
  VCPU_FCW,
  VCPU_FDP,
  VCPU_FDS,
  VCPU_FIP,
  VCPU_FOP,
  VCPU_FSW,
  VCPU_FTW,
  VCPU_MMIO_CURSOR,
  VCPU_MXCSR,
  VCPU_XMM,
} from "../../abi/vcpu.ts";
import { CR0_EM, CR0_TS, VECTOR_NM } from "../../abi/x86.ts";
import {
  FCW_DEFINED,
  FX_FCS,
  FX_FCW,
  FX_FDP,
  FX_FDS,
  FX_FIP,
  FX_FTW,
  FX_MXCSR,
  FX_MXCSR_MASK,
  FX_ST,
  FX_XMM,
  FXSAVE_BYTES,
} from "../../abi/x87.ts";
import { Uop } from "../decode/uop.ts";
import { storeValue, translateRead, translateWrite } from "../mmu/access.ts";
import { raise, raiseGp, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { St, setControl, updateSummary } from "./fpu-state.ts";

const FX_BYTES: u32 = FXSAVE_BYTES;
/** Past the last register. */
const FX_END: u32 = FX_XMM + 8 * 16;

/** @returns false with #NM or #GP(0) recorded. */
function mayAccess(v: usize, lin: u32): bool {
  if ((load<u32>(v, VCPU_CR0) & (CR0_TS | CR0_EM)) != 0) {
    raise(v, VECTOR_NM);
    return false;
  }
  if ((lin & 15) == 0) return true;
  raiseGp(v);
  return false;
}

/** FXSAVE m512. */
export function fxsave(v: usize, pc: usize): u32 {
  const lin = Uop.ea(v, pc);
  if (!mayAccess(v, lin)) return STEP_EVENT;
  // Aligned to 16 bytes, the image touches two pages at most: once both ends are writable nothing can fail but device memory.
  if (translateWrite(v, lin, 1) == 0 || translateWrite(v, lin + FX_BYTES - 1, 1) == 0)
    return STEP_EVENT;
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (!St.isEmpty(v, i)) tags |= 1 << i;
  const control: u32 = load<u16>(v, VCPU_FCW) | ((<u32>load<u16>(v, VCPU_FSW)) << 16);
  if (!storeValue<u32>(v, lin + FX_FCW, control)) return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_FTW, tags | ((<u32>load<u16>(v, VCPU_FOP)) << 16)))
    return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_FIP, load<u32>(v, VCPU_FIP))) return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_FCS, load<u32>(v, VCPU_FCS))) return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_FDP, load<u32>(v, VCPU_FDP))) return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_FDS, load<u32>(v, VCPU_FDS))) return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_MXCSR, load<u32>(v, VCPU_MXCSR))) return STEP_EVENT;
  if (!storeValue<u32>(v, lin + FX_MXCSR_MASK, MXCSR_DEFINED)) return STEP_EVENT;
  for (let i: u32 = 0; i < 8; i++) {
    const slot = St.slot(v, i);
    if (!storeValue<u64>(v, lin + FX_ST + i * 16, St.sig(v, slot))) return STEP_EVENT;
    if (!storeValue<u64>(v, lin + FX_ST + i * 16 + 8, St.se(v, slot))) return STEP_EVENT;
    if (!storeValue<u64>(v, lin + FX_XMM + i * 16, load<u64>(v + i * 16, VCPU_XMM)))
      return STEP_EVENT;
    if (!storeValue<u64>(v, lin + FX_XMM + i * 16 + 8, load<u64>(v + i * 16, VCPU_XMM + 8)))
      return STEP_EVENT;
  }
  return STEP_NEXT;
}

function quad(v: usize, lin: u32): u64 {
  return load<u64>(translateRead(v, lin, 8));
}

/**
 * Has the Host read the image from device memory before any of it is used. @returns false = event recorded, until all reads are in the
 * queue, from whose start the same reads in the same order then take them.
 */
function isQueued(v: usize, lin: u32): bool {
  const cursor = load<u32>(v, VCPU_MMIO_CURSOR);
  for (let at: u32 = 0; at < FX_END; at += 8) if (translateRead(v, lin + at, 8) == 0) return false;
  store<u32>(v, cursor, VCPU_MMIO_CURSOR);
  return true;
}

/** FXRSTOR m512: #GP(0) when the image sets reserved bits of MXCSR. */
export function fxrstor(v: usize, pc: usize): u32 {
  const lin = Uop.ea(v, pc);
  if (!mayAccess(v, lin)) return STEP_EVENT;
  const first = translateRead(v, lin, 1);
  if (first == 0 || translateRead(v, lin + FX_BYTES - 1, 1) == 0) return STEP_EVENT;
  if (first == v + VCPU_BOUNCE && !isQueued(v, lin)) return STEP_EVENT;
  const control = quad(v, lin + FX_FCW);
  const instruction = quad(v, lin + FX_FIP);
  const operand = quad(v, lin + FX_FDP);
  const mxcsr = <u32>quad(v, lin + FX_MXCSR);
  if ((mxcsr & ~MXCSR_DEFINED) != 0) {
    raiseGp(v);
    return STEP_EVENT;
  }
  const tags = <u32>(control >> 32);
  store<u32>(v, <u32>(control >> 16) & 0xffff, VCPU_FSW);
  store<u32>(v, (tags >>> 16) & 0x7ff, VCPU_FOP);
  store<u32>(v, <u32>instruction, VCPU_FIP);
  store<u32>(v, <u32>(instruction >> 32) & 0xffff, VCPU_FCS);
  store<u32>(v, <u32>operand, VCPU_FDP);
  store<u32>(v, <u32>(operand >> 32) & 0xffff, VCPU_FDS);
  store<u32>(v, mxcsr, VCPU_MXCSR);
  store<u32>(v, 0, VCPU_FTW);
  for (let i: u32 = 0; i < 8; i++) {
    if (((tags >>> i) & 1) == 0) St.setEmpty(v, i);
    const sig = quad(v, lin + FX_ST + i * 16);
    St.set(v, St.slot(v, i), sig, <u32>quad(v, lin + FX_ST + i * 16 + 8) & 0xffff);
  }
  for (let i: u32 = 0; i < 16; i++) {
    store<u64>(v + i * 8, quad(v, lin + FX_XMM + i * 8), VCPU_XMM);
  }
  setControl(v, <u32>control & 0xffff, FCW_DEFINED);
  updateSummary(v);
  return STEP_NEXT;
}
