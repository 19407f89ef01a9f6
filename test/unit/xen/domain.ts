/**
 * A Xen domain of 2 MiB for tests of the core: page p of the guest's kernel is machine frame XEN_RAM_MFN + p and linear address p << 12.
 * Every vector has a handler of its own, which stops with a hypercall that nobody knows.
 */
import {
  EXIT_HYPERCALL,
  POLICY_XEN,
  VCPU_CPL,
  VCPU_EIP,
  VCPU_EXIT_REASON,
  VCPU_XEN_INFO,
  VCPU_XEN_LOOK,
} from "../../../abi/vcpu.ts";
import {
  EFLAGS_FIXED,
  EFLAGS_IF,
  PTE_A,
  PTE_D,
  PTE_P,
  PTE_RW,
  PTE_US,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  REG_ESI,
  REG_ESP,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
} from "../../../abi/x86.ts";
import {
  FLAT_RING1_CS,
  FLAT_RING1_DS,
  FLAT_RING1_SS,
  FLAT_RING3_CS,
  FLAT_RING3_DS,
  FLAT_RING3_SS,
  HYPERVISOR_SET_TRAP_TABLE,
} from "../../../abi/xen.ts";
import { VI_UPCALL_MASK, VI_UPCALL_PENDING } from "../../../abi/xen-layout.ts";
import {
  PAGE_OWNED,
  PAGE_READ_ONLY,
  PAGE_SHARED,
  PGT_L3,
  XEN_M2P_TABLES,
  XEN_RAM_MFN,
} from "../../../abi/xen-memory.ts";
import { type Core, instantiateCore } from "../../../host-ts/base/core.ts";
import { loadCoreImage } from "../../../host-ts/base/core-node.ts";
import { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { type Code, intN, le, movImm } from "../protect/assembler.ts";

const PAGE = 0x1000;
const RAM_FRAMES = 512;
/** Pages from here on are not mapped at the start; those before FREE that are not named are mapped writable. */
export const UNMAPPED_PAGE = 0x1c0;
export const L3_PAGE = 0x10;
export const L2_PAGE = 0x11;
export const L2_XEN_PAGE = 0x12;
export const L1_PAGE = 0x13;
/** Pages for page tables of a test. */
export const FREE_PAGE = 0x40;
export const CODE = 0x20000;
export const USER_CODE = 0x21000;
export const DATA = 0x22000;
/** Tops of the stacks. */
export const KERNEL_STACK = 0x24000;
export const USER_STACK = 0x26000;
/** A page that is not mapped writable: fill it through frames, give it to set_gdt. */
export const GDT_PAGE = 0x28;
export const HANDLERS = 0x30000;
const HANDLER_STRIDE = 16;
/** Hypercall numbers that stop a test: the end of a call, and the handler of vector n. */
export const STOP = 0x1000;
export const STOP_HANDLER = 0x2000;
export const STOP_EVENT = 0x3000;
export const STOP_FAILSAFE = 0x3001;
export const EVENT_HANDLER = HANDLERS + 256 * HANDLER_STRIDE;
export const FAILSAFE_HANDLER = EVENT_HANDLER + HANDLER_STRIDE;
export const SHARED_INFO_MFN = XEN_RAM_MFN + RAM_FRAMES;
const M2P_TABLES_MFN = SHARED_INFO_MFN + 1;
export const M2P_MFN = M2P_TABLES_MFN + XEN_M2P_TABLES;
/** First frame of the window for pages of others. */
export const WINDOW_MFN = M2P_MFN + 1;
const LIMIT = WINDOW_MFN + 16;

/** Entry flags of what a kernel maps. */
export const RW = PTE_P | PTE_RW | PTE_A | PTE_D;
export const RO = PTE_P | PTE_A | PTE_D;

let image: ReturnType<typeof loadCoreImage> | undefined;
let core: Core | undefined;

function sharedCore(): Core {
  image ??= loadCoreImage(true);
  core ??= instantiateCore(image);
  return core;
}

/** @returns the machine frame of page `page`. */
export function mfnOf(page: number): number {
  return XEN_RAM_MFN + page;
}
/** @returns an entry's low half that maps `page`. */
export function entryOf(page: number, flags: number): number {
  return (mfnOf(page) << 12) | flags;
}
/** @returns the machine address of entry `slot` in the page table on `page`. */
export function entryAt(page: number, slot: number): number {
  return (mfnOf(page) << 12) + slot * 8;
}

export class Domain {
  readonly core: Core;
  readonly guest: number;
  readonly vcpu: VcpuBlock;

  constructor(core: Core = sharedCore()) {
    this.core = core;
    const verbs = this.core.exports;
    this.guest = verbs.guestCreate(RAM_FRAMES) >>> 0;
    verbs.guestSetLimits(this.guest, LIMIT, LIMIT, LIMIT);
    const created =
      verbs.xenCreate(this.guest) &&
      verbs.xenAddFrames(this.guest, XEN_RAM_MFN, RAM_FRAMES, PAGE_OWNED) &&
      verbs.xenAddFrames(this.guest, SHARED_INFO_MFN, 1, PAGE_SHARED) &&
      verbs.xenAddFrames(this.guest, M2P_TABLES_MFN, XEN_M2P_TABLES + 1, PAGE_READ_ONLY);
    if (created === 0) throw new Error("no domain");
    verbs.xenSetMachineToPhysical(this.guest, M2P_TABLES_MFN, M2P_MFN);
    this.writeFrame(M2P_TABLES_MFN, 0, (M2P_MFN << 12) | RO);
    this.vcpu = new VcpuBlock(this.core, verbs.vcpuCreate(this.guest, POLICY_XEN) >>> 0);
    this.vcpu.setU32(VCPU_XEN_INFO, SHARED_INFO_MFN << 12);
    this.#buildTables();
    this.#buildHandlers();
    const refused = verbs.xenPin(this.vcpu.ptr, mfnOf(L3_PAGE), PGT_L3);
    if (refused !== 0) throw new Error(`the first L3 is no good: ${refused}`);
    verbs.xenSetBase(this.vcpu.ptr, mfnOf(L3_PAGE));
    this.setUpcall({ masked: true });
    this.enter(1);
  }

  destroy(): void {
    this.core.exports.vcpuDestroy(this.vcpu.ptr);
    this.core.exports.guestDestroy(this.guest);
  }

  /** Gives everything back. @returns the counts that are left. */
  relinquish(): number {
    this.core.exports.xenDropTables(this.vcpu.ptr);
    return this.core.exports.xenRelinquish(this.vcpu.ptr);
  }

  #buildTables(): void {
    const table = PTE_P | PTE_RW | PTE_US | PTE_A;
    this.setEntry(L3_PAGE, 0, entryOf(L2_PAGE, PTE_P));
    this.setEntry(L3_PAGE, 3, entryOf(L2_XEN_PAGE, PTE_P));
    this.setEntry(L2_PAGE, 0, entryOf(L1_PAGE, table));
    const readOnly = [L3_PAGE, L2_PAGE, L2_XEN_PAGE, L1_PAGE, GDT_PAGE];
    const user = [USER_CODE / PAGE, USER_STACK / PAGE - 1];
    for (let page = 0; page < UNMAPPED_PAGE; page++) {
      const rights = readOnly.includes(page) ? RO : RW;
      this.setEntry(L1_PAGE, page, entryOf(page, user.includes(page) ? rights | PTE_US : rights));
    }
  }

  #buildHandlers(): void {
    for (let vector = 0; vector < 256; vector++) {
      this.assemble(
        HANDLERS + vector * HANDLER_STRIDE,
        movImm(REG_EAX, STOP_HANDLER + vector),
        intN(0x82),
      );
    }
    this.assemble(EVENT_HANDLER, movImm(REG_EAX, STOP_EVENT), intN(0x82));
    this.assemble(FAILSAFE_HANDLER, movImm(REG_EAX, STOP_FAILSAFE), intN(0x82));
  }

  /** Registers handlers for vectors: [vector, flags of struct trap_info]. */
  setTraps(...traps: (readonly [number, number])[]): void {
    const entries = traps.flatMap(([vector, flags]) => [
      vector,
      flags,
      ...le(FLAT_RING1_CS, 2),
      ...le(HANDLERS + vector * HANDLER_STRIDE, 4),
    ]);
    this.write(DATA + 0x800, [...entries, 0, 0, 0, 0, 0, 0, 0, 0]);
    const result = this.call(HYPERVISOR_SET_TRAP_TABLE, DATA + 0x800);
    if (result !== 0) throw new Error(`set_trap_table: ${result}`);
  }

  /** Makes the vCPU stand in ring 1 or 3, flat, at its code and with its stack. */
  enter(ring: number): void {
    const user = ring === 3;
    const { exports } = this.core;
    this.vcpu.setU32(VCPU_CPL, 1);
    for (const seg of [SEG_FS, SEG_GS]) exports.xenLoadSegment(this.vcpu.ptr, seg, 0);
    const done = exports.xenLand(
      this.vcpu.ptr,
      user ? FLAT_RING3_CS : FLAT_RING1_CS,
      user ? USER_CODE : CODE,
      EFLAGS_FIXED | EFLAGS_IF,
      user ? FLAT_RING3_SS : FLAT_RING1_SS,
      user ? USER_STACK : KERNEL_STACK,
    );
    for (const seg of [SEG_DS, SEG_ES]) {
      exports.xenLoadSegment(this.vcpu.ptr, seg, user ? FLAT_RING3_DS : FLAT_RING1_DS);
    }
    exports.updateMode(this.vcpu.ptr);
    if (done === 0) throw new Error("cannot enter");
  }

  /** Sets the flags of vcpu_info. */
  setUpcall(flags: { masked?: boolean; pending?: boolean }): void {
    const info = SHARED_INFO_MFN << 12;
    if (flags.masked !== undefined) this.poke(info + VI_UPCALL_MASK, flags.masked ? 1 : 0);
    if (flags.pending !== undefined) this.poke(info + VI_UPCALL_PENDING, flags.pending ? 1 : 0);
    this.vcpu.setU32(VCPU_XEN_LOOK, 1);
  }
  get upcallMasked(): boolean {
    return this.peek((SHARED_INFO_MFN << 12) + VI_UPCALL_MASK) !== 0;
  }
  /** A word of vcpu_info. */
  info32(offset: number): number {
    return this.readFrame(SHARED_INFO_MFN, offset);
  }

  /** Writes an entry as a builder does, before the table is in use. */
  setEntry(page: number, slot: number, low: number, high = 0): void {
    this.writeFrame(mfnOf(page), slot * 8, low);
    this.writeFrame(mfnOf(page), slot * 8 + 4, high);
  }
  /** Low half of an entry. */
  entry(page: number, slot: number): number {
    return this.readFrame(mfnOf(page), slot * 8);
  }
  type(page: number): number {
    return this.core.exports.xenTypeOf(this.guest, mfnOf(page)) >>> 0;
  }
  references(page: number): number {
    return this.core.exports.xenReferencesOf(this.guest, mfnOf(page));
  }

  /** Makes a hypercall from ring 1. @returns what it gives, signed. */
  call(number: number, ...args: number[]): number {
    this.assemble(CODE, intN(0x82), [0x89, 0xc5], movImm(REG_EAX, STOP), intN(0x82));
    const v = this.vcpu;
    v.setU32(VCPU_EIP, CODE);
    v.setGpr(REG_EAX, number);
    for (const [i, reg] of [REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI].entries()) {
      v.setGpr(reg, (args[i] ?? 0) >>> 0);
    }
    const stop = this.stop();
    if (stop !== STOP) throw new Error(`stopped at ${stop.toString(16)}, not after the call`);
    return v.gpr(REG_EBP) | 0;
  }

  /** Runs to a hypercall that leaves. @returns its number. */
  stop(budget = 10_000): number {
    const reason = this.core.exports.run(this.vcpu.ptr, budget);
    if (reason !== EXIT_HYPERCALL) {
      const v = this.vcpu;
      const args = [0, 1, 2, 3].map((i) => v.exitArg(i).toString(16));
      throw new Error(`exit ${reason} (${args}) at ${v.eip.toString(16)}`);
    }
    return this.vcpu.exitArg(0);
  }
  /** Runs `code` at ring 1 or 3 to a stop. @returns the number of the call it stopped at. */
  execute(ring: number, ...code: Code[]): number {
    this.enter(ring);
    this.assemble(ring === 3 ? USER_CODE : CODE, ...code, movImm(REG_EAX, STOP), intN(0x82));
    return this.stop();
  }
  get exitReason(): number {
    return this.vcpu.u32(VCPU_EXIT_REASON);
  }

  assemble(lin: number, ...instructions: Code[]): void {
    this.write(lin, instructions.flat());
  }
  /** Writes bytes at a linear address of the kernel, through frames. */
  write(lin: number, bytes: Code): void {
    for (const [i, byte] of bytes.entries()) this.poke((XEN_RAM_MFN << 12) + lin + i, byte);
  }
  write32(lin: number, ...values: number[]): void {
    this.write(
      lin,
      values.flatMap((value) => le(value, 4)),
    );
  }
  read32(lin: number): number {
    return this.readFrame(XEN_RAM_MFN + (lin >>> 12), lin & 0xfff);
  }
  /** Words on the stack from its top. */
  frame(words: number): number[] {
    const esp = this.vcpu.gpr(REG_ESP);
    return Array.from({ length: words }, (_, i) => this.read32(esp + 4 * i));
  }

  poke(gpa: number, byte: number): void {
    this.#frame(gpa >>> 12)[gpa & 0xfff] = byte;
  }
  peek(gpa: number): number {
    return this.#frame(gpa >>> 12)[gpa & 0xfff]!;
  }
  writeFrame(mfn: number, offset: number, value: number): void {
    for (const [i, byte] of le(value, 4).entries()) this.#frame(mfn)[offset + i] = byte;
  }
  readFrame(mfn: number, offset: number): number {
    const bytes = this.#frame(mfn);
    return new DataView(bytes.buffer, bytes.byteOffset, PAGE).getUint32(offset, true);
  }
  #frame(mfn: number): Uint8Array {
    const ptr = this.core.exports.frameForWrite(this.guest, mfn) >>> 0;
    return this.core.bytes(ptr + PAGE).subarray(ptr, ptr + PAGE);
  }
}
