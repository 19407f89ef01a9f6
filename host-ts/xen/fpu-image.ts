/** A vCPU's x87 and SSE registers as an image of FXSAVE, and back. Source: SDM 2A, "FXSAVE", "FXRSTOR". */
import { MXCSR_DEFINED, MXCSR_INIT } from "../../abi/sse.ts";
import {
  FPR_STRIDE,
  VCPU_FCS,
  VCPU_FCW,
  VCPU_FDP,
  VCPU_FDS,
  VCPU_FIP,
  VCPU_FOP,
  VCPU_FPR,
  VCPU_FSW,
  VCPU_FTW,
  VCPU_MXCSR,
  VCPU_XMM,
} from "../../abi/vcpu.ts";
import {
  FCW_DEFINED,
  FCW_FIXED,
  FCW_INIT,
  FSW_B,
  FSW_ES,
  FSW_EXCEPTIONS,
  FSW_TOP_SHIFT,
  FTW_INIT,
  FX_FCS,
  FX_FCW,
  FX_FDP,
  FX_FDS,
  FX_FIP,
  FX_FOP,
  FX_FSW,
  FX_FTW,
  FX_MXCSR,
  FX_MXCSR_MASK,
  FX_ST,
  FX_XMM,
  FXSAVE_BYTES,
  TAG_EMPTY,
} from "../../abi/x87.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";

const REGISTERS = 8;
const FOP_MASK = 0x7ff;

/** A processor that has never computed anything. */
export function resetFpu(vcpu: VcpuBlock): void {
  vcpu.setU32(VCPU_FCW, FCW_INIT);
  vcpu.setU32(VCPU_FSW, 0);
  vcpu.setU32(VCPU_FTW, FTW_INIT);
  vcpu.setU32(VCPU_MXCSR, MXCSR_INIT);
}

/** Loads an image of FXSAVE_BYTES. Reserved bits do not stick. */
export function loadFpu(vcpu: VcpuBlock, image: DataView): void {
  const fcw = (image.getUint16(FX_FCW, true) & FCW_DEFINED) | FCW_FIXED;
  const fsw = image.getUint16(FX_FSW, true) & ~(FSW_ES | FSW_B);
  const isPending = (fsw & ~fcw & FSW_EXCEPTIONS) !== 0;
  vcpu.setU32(VCPU_FCW, fcw);
  vcpu.setU32(VCPU_FSW, isPending ? fsw | FSW_ES | FSW_B : fsw);
  vcpu.setU32(VCPU_FOP, image.getUint16(FX_FOP, true) & FOP_MASK);
  vcpu.setU32(VCPU_FIP, image.getUint32(FX_FIP, true));
  vcpu.setU32(VCPU_FCS, image.getUint16(FX_FCS, true));
  vcpu.setU32(VCPU_FDP, image.getUint32(FX_FDP, true));
  vcpu.setU32(VCPU_FDS, image.getUint16(FX_FDS, true));
  vcpu.setU32(VCPU_MXCSR, image.getUint32(FX_MXCSR, true) & MXCSR_DEFINED);
  const used = image.getUint8(FX_FTW);
  let tags = 0;
  for (let i = 0; i < REGISTERS; i++) {
    if (((used >>> i) & 1) === 0) tags |= TAG_EMPTY << (2 * i);
    const slot = ((fsw >>> FSW_TOP_SHIFT) + i) % REGISTERS;
    const at = VCPU_FPR + slot * FPR_STRIDE;
    vcpu.setU64(at, image.getBigUint64(FX_ST + 16 * i, true));
    vcpu.setU64(at + 8, BigInt(image.getUint16(FX_ST + 16 * i + 8, true)));
    for (const half of [0, 8]) {
      vcpu.setU64(VCPU_XMM + 16 * i + half, image.getBigUint64(FX_XMM + 16 * i + half, true));
    }
  }
  vcpu.setU32(VCPU_FTW, tags);
}

/** The image of FXSAVE_BYTES that loadFpu loads. */
export function saveFpu(vcpu: VcpuBlock): Uint8Array {
  const bytes = new Uint8Array(FXSAVE_BYTES);
  const image = new DataView(bytes.buffer);
  const fsw = vcpu.u32(VCPU_FSW);
  image.setUint16(FX_FCW, vcpu.u32(VCPU_FCW), true);
  image.setUint16(FX_FSW, fsw, true);
  image.setUint16(FX_FOP, vcpu.u32(VCPU_FOP), true);
  image.setUint32(FX_FIP, vcpu.u32(VCPU_FIP), true);
  image.setUint16(FX_FCS, vcpu.u32(VCPU_FCS), true);
  image.setUint32(FX_FDP, vcpu.u32(VCPU_FDP), true);
  image.setUint16(FX_FDS, vcpu.u32(VCPU_FDS), true);
  image.setUint32(FX_MXCSR, vcpu.u32(VCPU_MXCSR), true);
  image.setUint32(FX_MXCSR_MASK, MXCSR_DEFINED, true);
  let used = 0;
  for (let i = 0; i < REGISTERS; i++) {
    if (((vcpu.u32(VCPU_FTW) >>> (2 * i)) & TAG_EMPTY) !== TAG_EMPTY) used |= 1 << i;
    const slot = ((fsw >>> FSW_TOP_SHIFT) + i) % REGISTERS;
    const at = VCPU_FPR + slot * FPR_STRIDE;
    image.setBigUint64(FX_ST + 16 * i, vcpu.u64(at), true);
    image.setUint16(FX_ST + 16 * i + 8, vcpu.u32(at + 8), true);
    for (const half of [0, 8]) {
      image.setBigUint64(FX_XMM + 16 * i + half, vcpu.u64(VCPU_XMM + 16 * i + half), true);
    }
  }
  image.setUint8(FX_FTW, used);
  return bytes;
}
