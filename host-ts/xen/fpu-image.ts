/** An FXSAVE image into a vCPU's x87 and SSE registers, as FXRSTOR loads it. Source: SDM 2A, "FXRSTOR". */
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
  FX_ST,
  FX_XMM,
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
