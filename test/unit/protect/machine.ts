/**
 * A bare 32-bit machine for protection tests: flat rings 0 and 3, a GDT, an IDT whose every gate leads to a HLT of its own in ring 0,
 * and a TSS. Paging is off, so linear addresses are guest-physical ones.
 */
import {
  EXIT_HALT,
  POLICY_NATIVE,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_FLAG_AUX,
  VCPU_FLAG_RES,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
} from "../../../abi/vcpu.ts";
import {
  ATTR_MASK,
  CR0_ET,
  CR0_PE,
  EFLAGS_FIXED,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
} from "../../../abi/x86.ts";
import { type Core, instantiateCore } from "../../../host-ts/base/core.ts";
import { loadCoreImage } from "../../../host-ts/base/core-node.ts";
import { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import type { Code } from "./assembler.ts";
import { hlt } from "./assembler.ts";

const RAM_FRAMES = 256;
const PAGE = 0x1000;
export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
/** A second task. */
export const TSS2 = 0x3800;
const HANDLERS = 0x4000;
const HANDLER_STRIDE = 16;
export const CODE = 0x8000;
export const USER_CODE = 0x9000;
export const DATA = 0xa000;
/** Tops of the stacks. */
export const STACK = 0xc000;
export const INNER_STACK = 0xd000;
export const USER_STACK = 0xe000;

export const KERNEL_CS = 0x08;
export const KERNEL_DS = 0x10;
export const USER_CS = 0x1b;
export const USER_DS = 0x23;
export const TSS_SELECTOR = 0x28;
/** Free for a test. */
export const FREE = 0x40;
const GDT_ENTRIES = 32;

/** Access bytes. */
export const CODE0 = 0x9b;
export const DATA0 = 0x93;
export const CODE3 = 0xfb;
export const DATA3 = 0xf3;
/** D/B and G of a descriptor's flags nibble. */
export const FLAT = 0xc;
export const TSS_LIMIT = 0x67;
export const GATE_INT32 = 0x8e;
export const GATE_TRAP32 = 0x8f;
export const GATE_INT16 = 0x86;
export const GATE_TASK = 0x85;
export const GATE_CALL32 = 0x8c;

let image: ReturnType<typeof loadCoreImage> | undefined;
let core: Core | undefined;

/** One core for all tests of a file. */
function sharedCore(): Core {
  image ??= loadCoreImage(true);
  core ??= instantiateCore(image);
  return core;
}

export class Machine {
  readonly core = sharedCore();
  readonly vcpu: VcpuBlock;
  readonly guest: number;

  constructor(policy = POLICY_NATIVE) {
    const verbs = this.core.exports;
    this.guest = verbs.guestCreate(RAM_FRAMES) >>> 0;
    this.vcpu = new VcpuBlock(this.core, verbs.vcpuCreate(this.guest, policy) >>> 0);
    this.describe(KERNEL_CS, 0, 0xfffff, CODE0, FLAT);
    this.describe(KERNEL_DS, 0, 0xfffff, DATA0, FLAT);
    this.describe(USER_CS, 0, 0xfffff, CODE3, FLAT);
    this.describe(USER_DS, 0, 0xfffff, DATA3, FLAT);
    this.describe(TSS_SELECTOR, TSS, TSS_LIMIT, 0x8b, 0);
    this.write32(TSS + 4, INNER_STACK);
    this.write32(TSS + 8, KERNEL_DS);
    this.write32(TSS + 0x64, (TSS_LIMIT + 1) << 16);
    for (let vector = 0; vector < 256; vector++) {
      this.gate(vector, KERNEL_CS, this.handler(vector), GATE_INT32);
      this.write(this.handler(vector), hlt);
    }
    const v = this.vcpu;
    v.setU32(VCPU_GDTR_BASE, GDT);
    v.setU32(VCPU_GDTR_LIMIT, GDT_ENTRIES * 8 - 1);
    v.setU32(VCPU_IDTR_BASE, IDT);
    v.setU32(VCPU_IDTR_LIMIT, 256 * 8 - 1);
    v.setU32(VCPU_CR0, CR0_PE | CR0_ET);
    v.setU32(VCPU_EFLAGS, EFLAGS_FIXED);
    // All arithmetic flags clear.
    v.setU32(VCPU_FLAG_RES, 1);
    v.setU32(VCPU_FLAG_AUX, 0);
    v.setSegment(SEG_LDTR, { selector: 0, base: 0, limit: 0, attr: 0 });
    v.setSegment(SEG_TR, { selector: TSS_SELECTOR, base: TSS, limit: TSS_LIMIT, attr: 0x8b });
    this.enter(0);
  }

  /** Gives the memory back. */
  destroy(): void {
    this.core.exports.vcpuDestroy(this.vcpu.ptr);
    this.core.exports.guestDestroy(this.guest);
  }

  /** Makes the vCPU run at ring 0 or 3 (or 1, with ring 0's descriptors), flat, from that ring's code. */
  enter(ring: number): void {
    const cs = ring === 3 ? USER_CS : KERNEL_CS | ring;
    const ds = ring === 3 ? USER_DS : KERNEL_DS | ring;
    const flat = (selector: number, access: number) => ({
      selector,
      base: 0,
      limit: 0xffffffff,
      attr: (FLAT << 12) | (access & ~0x60) | (ring << 5),
    });
    const v = this.vcpu;
    v.setSegment(SEG_CS, flat(cs, CODE0));
    for (const seg of [SEG_SS, SEG_DS, SEG_ES]) v.setSegment(seg, flat(ds, DATA0));
    for (const seg of [SEG_FS, SEG_GS]) {
      v.setSegment(seg, { selector: 0, base: 0, limit: 0, attr: 0 });
    }
    v.setU32(VCPU_CPL, ring);
    v.setGpr(REG_ESP, ring === 3 ? USER_STACK : STACK);
    v.setU32(VCPU_EIP, ring === 3 ? USER_CODE : CODE);
    this.core.exports.updateMode(v.ptr);
  }

  handler(vector: number): number {
    return HANDLERS + vector * HANDLER_STRIDE;
  }

  /** Writes a GDT descriptor; `flags` is the nibble with G and D/B. */
  describe(selector: number, base: number, limit: number, access: number, flags: number): void {
    const at = GDT + (selector & ~7);
    this.write32(at, ((base & 0xffff) << 16) | (limit & 0xffff));
    const high = (base & 0xff000000) | (flags << 20) | (limit & 0xf0000) | (access << 8);
    this.write32(at + 4, high | ((base >>> 16) & 0xff));
  }

  /** Writes a gate into the IDT. */
  gate(vector: number, selector: number, offset: number, access: number): void {
    this.#writeGate(IDT + vector * 8, selector, offset, access, 0);
  }
  /** Writes a call or task gate into the GDT. */
  gdtGate(at: number, selector: number, offset: number, access: number, params = 0): void {
    this.#writeGate(GDT + (at & ~7), selector, offset, access, params);
  }
  #writeGate(at: number, selector: number, offset: number, access: number, params: number): void {
    this.write32(at, (selector << 16) | (offset & 0xffff));
    this.write32(at + 4, (offset & 0xffff0000) | (access << 8) | params);
  }

  /** Assembles instructions at `at`. */
  assemble(at: number, ...instructions: Code[]): void {
    this.write(at, instructions.flat());
  }

  write(gpa: number, bytes: Code): void {
    for (const [i, byte] of bytes.entries()) this.#page(gpa + i)[(gpa + i) % PAGE] = byte;
  }
  write32(gpa: number, value: number): void {
    this.write(gpa, [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]);
  }
  read(gpa: number, bytes: number): number {
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) {
      value = value * 256 + this.#page(gpa + i)[(gpa + i) % PAGE]!;
    }
    return value;
  }
  read32(gpa: number): number {
    return this.read(gpa, 4);
  }
  #page(gpa: number): Uint8Array {
    const ptr = this.core.exports.frameForWrite(this.guest, Math.floor(gpa / PAGE)) >>> 0;
    return this.core.bytes(ptr + PAGE).subarray(ptr, ptr + PAGE);
  }

  /** Runs until the core comes back. @returns EXIT_*. */
  run(budget = 1000): number {
    return this.core.exports.run(this.vcpu.ptr, budget);
  }

  /** Runs to a HLT. @returns the vector whose handler it is, or -1 when it is another HLT; throws when something else happens. */
  runToHalt(budget = 1000): number {
    const reason = this.run(budget);
    if (reason !== EXIT_HALT) {
      const v = this.vcpu;
      throw new Error(
        `exit ${reason} (${v.exitArg(0)}, ${v.exitArg(1)}) at ${v.eip.toString(16)}, not a halt`,
      );
    }
    const at = this.vcpu.eip - 1 - HANDLERS;
    const inHandler = at >= 0 && at < 256 * HANDLER_STRIDE && at % HANDLER_STRIDE === 0;
    return inHandler ? at / HANDLER_STRIDE : -1;
  }

  /** Words of 32 bits on the current stack, from its top. */
  frame(words: number): number[] {
    const { base } = this.vcpu.segment(SEG_SS);
    const esp = this.vcpu.gpr(REG_ESP);
    return Array.from({ length: words }, (_, i) => this.read32(base + esp + 4 * i));
  }

  selector(seg: number): number {
    return this.vcpu.segment(seg).selector;
  }

  /** The hidden part of a descriptor's access byte, as SEG_ATTR has it. */
  attr(seg: number): number {
    return this.vcpu.segment(seg).attr & ATTR_MASK;
  }
}
