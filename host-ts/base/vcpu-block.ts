/** Typed access to one vCPU block in linear memory; the layout is abi/vcpu.ts. Holds no state of its own. */

import {
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  VCPU_COUNTERS,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_EXIT_ARG,
  VCPU_EXIT_REASON,
  VCPU_FLAG_AUX,
  VCPU_FLAG_RES,
  VCPU_GPR,
  VCPU_ID,
  VCPU_RETIRED,
  VCPU_SEGS,
  VCPU_SIZE,
} from "../../abi/vcpu.ts";
import {
  EFLAGS_AF,
  EFLAGS_CF,
  EFLAGS_OF,
  EFLAGS_PF,
  EFLAGS_SF,
  EFLAGS_ZF,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  REG_ESI,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../abi/x86.ts";
import type { Core } from "./core.ts";

/** A segment register with its hidden part, in the form the block keeps it. */
export interface SegmentRegister {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly attr: number;
}

/** The registers a person wants to see. */
export interface Registers {
  readonly eax: number;
  readonly ecx: number;
  readonly edx: number;
  readonly ebx: number;
  readonly esp: number;
  readonly ebp: number;
  readonly esi: number;
  readonly edi: number;
  readonly eip: number;
  readonly eflags: number;
  readonly cs: number;
  readonly ss: number;
  readonly ds: number;
  readonly es: number;
  readonly fs: number;
  readonly gs: number;
  readonly cr0: number;
  readonly cr2: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly cpl: number;
}

/** One vCPU's block. */
export class VcpuBlock {
  readonly ptr: number;
  readonly #core: Core;

  constructor(core: Core, ptr: number) {
    this.#core = core;
    this.ptr = ptr;
  }

  /** Number within the guest, from 0. */
  get id(): number {
    return this.u32(VCPU_ID);
  }

  get #view(): DataView {
    return this.#core.words(this.ptr + VCPU_SIZE);
  }

  u32(field: number): number {
    return this.#view.getUint32(this.ptr + field, true);
  }

  setU32(field: number, value: number): void {
    this.#view.setUint32(this.ptr + field, value, true);
  }

  u64(field: number): bigint {
    return this.#view.getBigUint64(this.ptr + field, true);
  }

  setU64(field: number, value: bigint): void {
    this.#view.setBigUint64(this.ptr + field, value, true);
  }

  /** General register by number, REG_*. */
  gpr(register: number): number {
    return this.u32(VCPU_GPR + 4 * register);
  }

  setGpr(register: number, value: number): void {
    this.setU32(VCPU_GPR + 4 * register, value);
  }

  /** EXIT_* of the last exit. */
  get exitReason(): number {
    return this.u32(VCPU_EXIT_REASON);
  }

  /** Word `index` of the exit record. */
  exitArg(index: number): number {
    return this.u32(VCPU_EXIT_ARG + 4 * index);
  }

  get eip(): number {
    return this.u32(VCPU_EIP);
  }

  /** Instructions retired since the vCPU was created; exact to 2^53. */
  get retired(): number {
    const view = this.#view;
    const at = this.ptr + VCPU_RETIRED;
    return view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true);
  }

  segment(index: number): SegmentRegister {
    const at = VCPU_SEGS + index * SEG_STRIDE;
    return {
      selector: this.u32(at + SEG_SELECTOR),
      base: this.u32(at + SEG_BASE),
      limit: this.u32(at + SEG_LIMIT),
      attr: this.u32(at + SEG_ATTR),
    };
  }

  setSegment(index: number, value: SegmentRegister): void {
    const at = VCPU_SEGS + index * SEG_STRIDE;
    this.setU32(at + SEG_SELECTOR, value.selector);
    this.setU32(at + SEG_BASE, value.base);
    this.setU32(at + SEG_LIMIT, value.limit);
    this.setU32(at + SEG_ATTR, value.attr);
  }

  /** A u64 counter of the frame at VCPU_COUNTERS, by COUNTER_* offset plus 8 times an index. */
  counter(offset: number): number {
    const frame = this.u32(VCPU_COUNTERS);
    if (frame === 0) return 0;
    const view = this.#core.words(frame + offset + 8);
    return (
      view.getUint32(frame + offset + 4, true) * 0x100000000 + view.getUint32(frame + offset, true)
    );
  }

  /** A copy of the registers a person wants to see. */
  registers(): Registers {
    const selector = (index: number) => this.segment(index).selector;
    return {
      eax: this.gpr(REG_EAX),
      ecx: this.gpr(REG_ECX),
      edx: this.gpr(REG_EDX),
      ebx: this.gpr(REG_EBX),
      esp: this.gpr(REG_ESP),
      ebp: this.gpr(REG_EBP),
      esi: this.gpr(REG_ESI),
      edi: this.gpr(REG_EDI),
      eip: this.eip,
      eflags: this.eflags,
      cs: selector(SEG_CS),
      ss: selector(SEG_SS),
      ds: selector(SEG_DS),
      es: selector(SEG_ES),
      fs: selector(SEG_FS),
      gs: selector(SEG_GS),
      cr0: this.u32(VCPU_CR0),
      cr2: this.u32(VCPU_CR2),
      cr3: this.u32(VCPU_CR3),
      cr4: this.u32(VCPU_CR4),
      cpl: this.u32(VCPU_CPL),
    };
  }

  /** EFLAGS with the lazily kept arithmetic flags filled in; the encoding is described at VCPU_FLAG_AUX. */
  get eflags(): number {
    const result = this.u32(VCPU_FLAG_RES);
    const aux = this.u32(VCPU_FLAG_AUX);
    let flags = this.u32(VCPU_EFLAGS);
    if (aux >>> 31 !== 0) flags |= EFLAGS_CF;
    if (((aux >>> 31) ^ (aux >>> 30)) & 1) flags |= EFLAGS_OF;
    if (aux & 8) flags |= EFLAGS_AF;
    if (result === 0) flags |= EFLAGS_ZF;
    if ((result >>> 31) ^ (aux & 1)) flags |= EFLAGS_SF;
    if (hasEvenParity((result ^ (aux >>> 8)) & 0xff)) flags |= EFLAGS_PF;
    return flags >>> 0;
  }
}

function hasEvenParity(byte: number): boolean {
  const folded = byte ^ (byte >> 4);
  return ((0x9669 >> (folded & 15)) & 1) !== 0;
}
