/**
 * The core as a CpuDriver: a bare 32-bit machine with real page tables, GDT, LDT, IDT and TSS, as the vectors' FORMAT.md has it.
 * Every gate leads to a HLT of its own in ring 0, so that a case ends the way an exception ends on a processor: delivered
 * through the TSS, with its frame on the inner stack.
 */
import {
  CPU_MODEL_MAX,
  EVENT_NONE,
  EXIT_HALT,
  FPR_STRIDE,
  PAGING_32,
  PAGING_PAE,
  POLICY_NATIVE,
  VCPU_CHAOS,
  VCPU_CHAOS_SEED,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_EVENT,
  VCPU_FCS,
  VCPU_FCW,
  VCPU_FDP,
  VCPU_FDS,
  VCPU_FIP,
  VCPU_FLAG_AUX,
  VCPU_FLAG_RES,
  VCPU_FOP,
  VCPU_FPR,
  VCPU_FSW,
  VCPU_FTW,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_CURSOR,
  VCPU_MXCSR,
  VCPU_PAGING,
  VCPU_PDPTE,
  VCPU_XMM,
} from "../../abi/vcpu.ts";
import {
  ATTR_MASK,
  CR0_AM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  EFLAGS_AF,
  EFLAGS_ARITH,
  EFLAGS_CF,
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_OF,
  EFLAGS_PF,
  EFLAGS_SF,
  EFLAGS_ZF,
  PTE_P,
  PTE_RW,
  PTE_US,
  SEG_CS,
  SEG_DS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  VECTORS_WITH_ERROR_CODE,
} from "../../abi/x86.ts";
import { type Core, instantiateCore } from "../../host-ts/base/core.ts";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import { VcpuBlock } from "../../host-ts/base/vcpu-block.ts";
import {
  CODE,
  type CpuDriver,
  type CpuOutcome,
  DATA,
  EDGE,
  FILLER,
  overlay,
  READ_ONLY,
  type RunManner,
  STACK,
  traceStep,
} from "./cpu-driver.ts";
import type { FxState, Steps, VectorCase } from "./nv1.ts";

const PAGE = 0x1000;
const RAM_FRAMES = 0x1000;
/** Supervisor-only pages, mapped one to one. */
const GDT = 0x00f00000;
const LDT = 0x00f01000;
const TSS = 0x00f02000;
const IDT = 0x00f03000;
const HANDLERS = 0x00f04000;
const INNER_STACK = 0x00f06000;
const SYSTEM_PAGES = 7;
const INNER_ESP = INNER_STACK + PAGE;
/** Not mapped: the processor reaches them by physical address. */
const PAGE_DIRECTORY = 0x00800000;
const PAGE_TABLES = 0x00801000;
const PAGE_POINTERS = 0x00809000;
/** Pages from 0 on that the page tables describe. */
const MAPPED_PAGES = 0x1000;
const HANDLER_STRIDE = 16;
const HLT = 0xf4;
/** HLT, IRET. */
const HLT_IRET = 0xcff4;
const VECTOR_DB = 1;
/** What the handler of a single step retires. */
const STEP_INSTRUCTIONS = 2;
const GDT_LIMIT = 127;
const LDT_LIMIT = 159;
const TSS_LIMIT = 103;
const TSS_SELECTOR = 0x40;
const LDT_SELECTOR = 0x48;
const KERNEL_CS = 0x10;
const KERNEL_DS = 0x18;
/** Instructions after which a case counts as one that does not stop. */
const BUDGET = 2_000_000;
const MOST_STEPS = 100_000;

/** base, limit, access byte, G and D/B in bits 3 and 2. */
type Descriptor = readonly [base: number, limit: number, access: number, flags: number];

const GDT_ENTRIES: readonly (readonly [index: number, ...Descriptor])[] = [
  [KERNEL_CS >> 3, 0, 0xfffff, 0x9b, 0xc],
  [KERNEL_DS >> 3, 0, 0xfffff, 0x93, 0xc],
  [4, 0, 0xfffff, 0xfb, 0xc],
  [5, 0, 0xfffff, 0xf3, 0xc],
  [TSS_SELECTOR >> 3, TSS, TSS_LIMIT, 0x8b, 0],
  [LDT_SELECTOR >> 3, LDT, LDT_LIMIT, 0x82, 0],
];
const LDT_ENTRIES: readonly (readonly [index: number, ...Descriptor])[] = [
  [1, DATA.address, 0x3fff, 0xf3, 4],
  [2, DATA.address, 0x0fff, 0xf3, 4],
  [3, DATA.address, 0x0fff, 0xf1, 4],
  [4, DATA.address, 0x0fff, 0xf7, 4],
  [5, DATA.address, 0x0fff, 0xf7, 0],
  [6, DATA.address, 0x0fff, 0x73, 4],
  [7, CODE.address, 0x1fff, 0xfb, 4],
  [8, CODE.address, 0x1fff, 0xf9, 4],
  [9, CODE.address, 0x1fff, 0xfb, 0],
  [10, CODE.address, 0x1fff, 0x7f, 4],
  [11, CODE.address, 0x1fff, 0x7b, 4],
  [12, STACK.address, 0x1fff, 0xf3, 0],
  [13, STACK.address, 0x1fff, 0xf3, 4],
  [14, STACK.address, 0x0fff, 0xf7, 0],
  [15, DATA.address + PAGE, 0, 0xf3, 0xc],
  [16, 0, 0xfffff, 0xf3, 0xc],
  [17, CODE.address, 0x0fff, 0xfb, 4],
  [18, DATA.address, 0x0ff6, 0xf3, 4],
  [19, STACK.address, 0x1fff, 0x73, 4],
];

/** Which build of the core to drive. */
export interface CoreDriverOptions {
  /** The build with assertions. Default true. */
  readonly assertions?: boolean;
  /** Instructions per call of run; the default is one call per case. */
  readonly slice?: number;
  /** Drops cached translations and decoded code at pseudo-random moments from this seed on. */
  readonly chaosSeed?: number;
  /** PAE page tables instead of 32-bit ones. */
  readonly pae?: boolean;
  /** Maps EDGE too. */
  readonly edges?: boolean;
  /** DS ends a page early where a case does not choose its segments, so that no code counts as flat. */
  readonly segmented?: boolean;
}

/** Builds the machine; the core must have been built. */
export function createCoreDriver(options: CoreDriverOptions = {}): CpuDriver {
  return new CoreDriver(options);
}

class CoreDriver implements CpuDriver {
  readonly name = "core";
  readonly #core: Core;
  readonly #guest: number;
  readonly #vcpu: VcpuBlock;
  readonly #slice: number;
  readonly #pae: boolean;
  readonly #segmented: boolean;
  readonly #edges: boolean;
  readonly #chaosSeed: number | undefined;

  constructor(options: CoreDriverOptions) {
    const { assertions = true, slice = BUDGET, chaosSeed, pae = false } = options;
    this.#slice = slice;
    this.#pae = pae;
    this.#segmented = options.segmented ?? false;
    this.#edges = options.edges ?? false;
    this.#chaosSeed = chaosSeed;
    this.#core = instantiateCore(loadCoreImage(assertions));
    const verbs = this.#core.exports;
    this.#guest = verbs.guestCreate(RAM_FRAMES) >>> 0;
    this.#vcpu = new VcpuBlock(this.#core, verbs.vcpuCreate(this.#guest, POLICY_NATIVE) >>> 0);
    verbs.vcpuSetModel(this.#vcpu.ptr, CPU_MODEL_MAX);
    if (chaosSeed !== undefined) this.#vcpu.setU32(VCPU_CHAOS_SEED, chaosSeed);
    this.#buildTables();
  }

  run(test: VectorCase, manner: RunManner = {}): CpuOutcome {
    const { chaosSeed, slice = this.#slice, isWarm = false } = manner;
    this.#loadMemory(test, isWarm);
    this.#loadState(test);
    this.#vcpu.setU32(VCPU_CHAOS, (chaosSeed ?? this.#chaosSeed) === undefined ? 0 : 1);
    if (chaosSeed !== undefined) this.#vcpu.setU32(VCPU_CHAOS_SEED, chaosSeed);
    const before = this.#vcpu.retired;
    let reason = this.#go(slice);
    let handlers = 1;
    let steps: Steps | undefined;
    if (test.steps !== undefined) {
      steps = { count: 0, trace: 0 };
      while (steps.count < MOST_STEPS && this.#isStepped(reason)) {
        const { eip, regs } = this.#frame();
        steps = { count: steps.count + 1, trace: traceStep(steps.trace, eip, regs) };
        handlers += this.#leaveStep();
        reason = this.#go(slice);
      }
    }
    // The instructions of handlers are not the case's.
    return this.#outcome(test, reason, this.#vcpu.retired - before - handlers, steps);
  }

  #isStepped(reason: number): boolean {
    const at = HANDLERS + VECTOR_DB * HANDLER_STRIDE + 1;
    return reason === EXIT_HALT && this.#vcpu.eip === at;
  }

  /**
   * Goes on after a single step: the handler's IRET does it, except onto a 16-bit stack, where it would leave the handler's upper
   * half in ESP (which operating systems hide).
   * @returns instructions that the handler retires.
   */
  #leaveStep(): number {
    const v = this.#vcpu;
    const frame = this.#page(INNER_STACK);
    const words = new DataView(frame.buffer, frame.byteOffset, PAGE);
    const [eip, cs, flags, esp, ss] = [20, 16, 12, 8, 4].map((at) =>
      words.getUint32(PAGE - at, true),
    ) as [number, number, number, number, number];
    if (!this.#isNarrow(ss)) return STEP_INSTRUCTIONS;
    this.#loadSegment(SEG_CS, cs & 0xffff);
    this.#loadSegment(SEG_SS, ss & 0xffff);
    v.setU32(VCPU_EIP, eip);
    v.setGpr(4, esp);
    this.#setEflags(flags);
    v.setU32(VCPU_CPL, 3);
    this.#core.exports.updateMode(v.ptr);
    return 1;
  }

  /** Whether a selector names a 16-bit segment. */
  #isNarrow(selector: number): boolean {
    const entry = LDT_ENTRIES.find(([index]) => index === (selector & 0xffff) >> 3);
    return (selector & 4) !== 0 && entry !== undefined && (entry[4] & 4) === 0;
  }

  /** EIP and registers of the code that a handler without an error code came from. */
  #frame(): { eip: number; regs: Uint32Array } {
    const v = this.#vcpu;
    const frame = this.#page(INNER_STACK);
    const words = new DataView(frame.buffer, frame.byteOffset, PAGE);
    const regs = Uint32Array.from({ length: 8 }, (_, r) => v.gpr(r));
    regs[4] = words.getUint32(PAGE - 8, true);
    return { eip: words.getUint32(PAGE - 20, true), regs };
  }

  /** Calls run until something other than the end of a slice happens. */
  #go(slice: number): number {
    let reason = 0;
    for (let left = BUDGET; left > 0 && reason === 0; left -= slice) {
      reason = this.#core.exports.run(this.#vcpu.ptr, Math.min(left, slice));
    }
    return reason;
  }

  // Setting up.

  /** Bytes of guest-physical page `gpa`, valid until the next verb of the core; decoded code there is dropped. */
  #page(gpa: number): Uint8Array {
    const ptr = this.#core.exports.frameForWrite(this.#guest, gpa / PAGE) >>> 0;
    return this.#core.bytes(ptr + PAGE).subarray(ptr, ptr + PAGE);
  }

  #write32(gpa: number, value: number): void {
    const page = this.#page(gpa & ~(PAGE - 1));
    new DataView(page.buffer, page.byteOffset).setUint32(gpa & (PAGE - 1), value, true);
  }

  #buildTables(): void {
    const entryBytes = this.#pae ? 8 : 4;
    const map = (start: number, bytes: number, rights: number) => {
      for (let lin = start; lin < start + bytes; lin += PAGE) {
        this.#write32(PAGE_TABLES + (lin >>> 12) * entryBytes, lin | rights | PTE_P);
      }
    };
    for (let i = 0; i * PAGE < MAPPED_PAGES * entryBytes; i++) {
      const entry = (PAGE_TABLES + i * PAGE) | PTE_P | PTE_RW | PTE_US;
      this.#write32(PAGE_DIRECTORY + entryBytes * i, entry);
    }
    if (this.#pae) this.#write32(PAGE_POINTERS, PAGE_DIRECTORY | PTE_P);
    for (const range of [CODE, DATA, STACK]) map(range.address, range.bytes, PTE_RW | PTE_US);
    map(READ_ONLY.address, READ_ONLY.bytes, PTE_US);
    if (this.#edges) {
      map(EDGE.address, EDGE.bytes, PTE_RW | PTE_US);
      map(EDGE.address + PAGE, PAGE, PTE_US);
    }
    map(GDT, SYSTEM_PAGES * PAGE, PTE_RW);

    for (const [index, ...entry] of GDT_ENTRIES) this.#writeDescriptor(GDT + 8 * index, entry);
    for (const [index, ...entry] of LDT_ENTRIES) this.#writeDescriptor(LDT + 8 * index, entry);
    this.#write32(TSS + 4, INNER_ESP);
    this.#write32(TSS + 8, KERNEL_DS);
    this.#write32(TSS + 100, (TSS_LIMIT + 1) << 16);
    for (let vector = 0; vector < 256; vector++) {
      const handler = HANDLERS + vector * HANDLER_STRIDE;
      const dpl = vector === 3 || vector === 4 ? 3 : 0;
      this.#write32(IDT + 8 * vector, (KERNEL_CS << 16) | (handler & 0xffff));
      this.#write32(IDT + 8 * vector + 4, (handler & 0xffff0000) | 0x8e00 | (dpl << 13));
      this.#write32(handler, vector === VECTOR_DB ? HLT_IRET : HLT);
    }
  }

  #writeDescriptor(gpa: number, [base, limit, access, flags]: Descriptor): void {
    this.#write32(gpa, ((base & 0xffff) << 16) | (limit & 0xffff));
    this.#write32(
      gpa + 4,
      (base & 0xff000000) |
        (flags << 20) |
        (limit & 0xf0000) |
        (access << 8) |
        ((base >>> 16) & 0xff),
    );
  }

  // Before a case.

  #loadMemory(test: VectorCase, isWarm: boolean): void {
    const eip = test.before.eip;
    const code = { address: eip < CODE.address ? eip + CODE.address : eip, bytes: test.code };
    this.#loadRange(CODE, FILLER, [code], isWarm);
    for (const range of this.#edges ? [DATA, STACK, EDGE] : [DATA, STACK]) {
      this.#loadRange(range, 0, test.memory, isWarm);
    }
  }

  readonly #wanted = new Uint8Array(PAGE);

  /** With `isWarm`, pages that hold the right bytes already are left alone. */
  #loadRange(
    range: { address: number; bytes: number },
    filler: number,
    pieces: readonly { address: number; bytes: Uint8Array }[],
    isWarm: boolean,
  ): void {
    for (let gpa = range.address; gpa < range.address + range.bytes; gpa += PAGE) {
      this.#wanted.fill(filler);
      for (const piece of pieces) overlayPart(this.#wanted, gpa, piece);
      if (isWarm) {
        const ptr = this.#core.exports.frameForRead(this.#guest, gpa / PAGE) >>> 0;
        const there = this.#core.bytes(ptr + PAGE).subarray(ptr, ptr + PAGE);
        if (Buffer.compare(there, this.#wanted) === 0) continue;
      }
      this.#page(gpa).set(this.#wanted);
    }
  }

  #loadState(test: VectorCase): void {
    const v = this.#vcpu;
    const { regs, eip, flags, segs, fx } = test.before;
    regs.forEach((value, r) => {
      v.setGpr(r, value);
    });
    v.setU32(VCPU_EIP, eip);
    this.#setEflags(flags | EFLAGS_IF);
    segs.forEach((selector, s) => {
      this.#loadSegment(s, selector);
    });
    if (this.#segmented && !test.hasSegs) {
      v.setSegment(SEG_DS, { ...v.segment(SEG_DS), limit: 0xffffefff });
    }
    this.#loadSegment(SEG_LDTR, LDT_SELECTOR);
    this.#loadSegment(SEG_TR, TSS_SELECTOR);
    v.setU32(VCPU_CPL, 3);
    v.setU32(VCPU_CR0, CR0_PG | CR0_PE | CR0_WP | CR0_NE | CR0_AM | CR0_ET | CR0_MP);
    v.setU32(VCPU_CR2, 0);
    v.setU32(VCPU_CR3, this.#pae ? PAGE_POINTERS : PAGE_DIRECTORY);
    v.setU32(VCPU_CR4, CR4_OSFXSR | CR4_OSXMMEXCPT | (this.#pae ? CR4_PAE : 0));
    v.setU32(VCPU_PAGING, this.#pae ? PAGING_PAE : PAGING_32);
    v.setU64(VCPU_PDPTE, BigInt(PAGE_DIRECTORY | PTE_P));
    v.setU32(VCPU_GDTR_BASE, GDT);
    v.setU32(VCPU_GDTR_LIMIT, GDT_LIMIT);
    v.setU32(VCPU_IDTR_BASE, IDT);
    v.setU32(VCPU_IDTR_LIMIT, 256 * 8 - 1);
    v.setU32(VCPU_EVENT, EVENT_NONE);
    v.setU32(VCPU_MMIO_COUNT, 0);
    v.setU32(VCPU_MMIO_CURSOR, 0);
    if (fx !== undefined) this.#loadFx(fx);
    else this.#resetFpu();
    this.#core.exports.updateMode(v.ptr);
  }

  /** The inverse of VcpuBlock.eflags: RES is 0 for ZF, else 1, and the deltas of AUX make up the difference. */
  #setEflags(flags: number): void {
    const has = (bit: number) => (flags & bit) !== 0;
    const cf = has(EFLAGS_CF) ? 1 : 0;
    const evenParity = has(EFLAGS_ZF);
    const aux =
      (cf << 31) |
      ((cf ^ (has(EFLAGS_OF) ? 1 : 0)) << 30) |
      (has(EFLAGS_AF) ? 8 : 0) |
      (has(EFLAGS_SF) ? 1 : 0) |
      (has(EFLAGS_PF) === evenParity ? 0 : 0x100);
    this.#vcpu.setU32(VCPU_FLAG_RES, has(EFLAGS_ZF) ? 0 : 1);
    this.#vcpu.setU32(VCPU_FLAG_AUX, aux);
    this.#vcpu.setU32(VCPU_EFLAGS, (flags & ~EFLAGS_ARITH) | EFLAGS_FIXED);
  }

  #loadSegment(s: number, selector: number): void {
    const table = selector & 4 ? LDT_ENTRIES : GDT_ENTRIES;
    const entry = table.find(([index]) => index === selector >> 3);
    if (entry === undefined) {
      this.#vcpu.setSegment(s, { selector, base: 0, limit: 0, attr: 0 });
      return;
    }
    const [, base, limit, access, flags] = entry;
    this.#vcpu.setSegment(s, {
      selector,
      base,
      limit: flags & 8 ? ((limit << 12) | 0xfff) >>> 0 : limit,
      attr: (access | (flags << 12)) & ATTR_MASK,
    });
  }

  #loadFx(fx: FxState): void {
    const v = this.#vcpu;
    const top = (fx.fsw >> 11) & 7;
    let tags = 0;
    for (let i = 0; i < 8; i++) {
      const physical = (top + i) & 7;
      this.#writeBlock(VCPU_FPR + physical * FPR_STRIDE, fx.st[i]!);
      this.#writeBlock(VCPU_XMM + i * 16, fx.xmm[i]!);
      tags |= ((fx.ftw >> physical) & 1 ? tagOf(fx.st[i]!) : TAG_EMPTY) << (physical * 2);
    }
    v.setU32(VCPU_FCW, fx.fcw);
    // Cases load their state with FXRSTOR, which works out ES and B anew.
    const pending = (fx.fsw & ~fx.fcw & FSW_EXCEPTIONS) !== 0;
    v.setU32(VCPU_FSW, pending ? fx.fsw | FSW_SUMMARY : fx.fsw & ~FSW_SUMMARY);
    v.setU32(VCPU_FTW, tags);
    for (const pointer of [VCPU_FOP, VCPU_FIP, VCPU_FCS, VCPU_FDP, VCPU_FDS]) v.setU32(pointer, 0);
    v.setU32(VCPU_MXCSR, fx.mxcsr);
  }

  /** What FNINIT leaves, so that no case inherits a pending x87 exception. */
  #resetFpu(): void {
    this.#vcpu.setU32(VCPU_FCW, 0x37f);
    this.#vcpu.setU32(VCPU_FSW, 0);
    this.#vcpu.setU32(VCPU_FTW, 0xffff);
    this.#vcpu.setU32(VCPU_MXCSR, 0x1f80);
  }

  #writeBlock(field: number, bytes: Uint8Array): void {
    const at = this.#vcpu.ptr + field;
    this.#core.bytes(at + bytes.length).set(bytes, at);
  }

  // After a case.

  #outcome(test: VectorCase, reason: number, retired: number, steps?: Steps): CpuOutcome {
    const v = this.#vcpu;
    const at = v.eip - 1 - HANDLERS;
    const stopped = reason === EXIT_HALT && at >= 0 && at % HANDLER_STRIDE === 0;
    const vector = stopped ? at / HANDLER_STRIDE : 0;
    const esp = v.gpr(4);
    const frame = this.#page(INNER_STACK);
    const words = new DataView(frame.buffer, frame.byteOffset, PAGE);
    const hasError = ((VECTORS_WITH_ERROR_CODE >>> vector) & 1) !== 0;
    const frameBytes = hasError ? 24 : 20;
    const isFrame = stopped && esp === INNER_ESP - frameBytes;
    const word = (index: number) => (isFrame ? words.getUint32(PAGE - 20 + 4 * index, true) : 0);
    const regs = Uint32Array.from({ length: 8 }, (_, r) => v.gpr(r));
    regs[4] = word(3);
    const segs = Array.from({ length: 6 }, (_, s) => v.segment(s).selector);
    segs[1] = word(1) & 0xffff;
    segs[2] = word(4) & 0xffff;
    // INT3 is a trap: its frame says where the next instruction is.
    const eip = vector === 3 ? word(0) - 1 : word(0);
    return {
      vector,
      error: hasError && isFrame ? words.getUint32(PAGE - 24, true) : 0,
      cr2: v.u32(VCPU_CR2),
      regs,
      eip: eip >>> 0,
      flags: word(2),
      segs,
      fx: test.before.fx === undefined ? undefined : this.#readFx(),
      data: this.#gather(DATA),
      stack: this.#gather(STACK),
      ...(this.#edges && { edge: this.#gather(EDGE) }),
      ...(steps && { steps }),
      retired,
      ...(isFrame ? {} : { trouble: this.#trouble(reason) }),
    };
  }

  #trouble(reason: number): string {
    const v = this.#vcpu;
    const args = [0, 1, 2].map((i) => v.exitArg(i).toString(16)).join(" ");
    const at = `cs:eip ${v.segment(1).selector.toString(16)}:${v.eip.toString(16)}`;
    return `left with exit ${reason} (${args}) at ${at}, esp ${v.gpr(4).toString(16)}`;
  }

  readonly #gathered = new Map<number, Uint8Array>();

  #gather(range: { address: number; bytes: number }): Uint8Array {
    let bytes = this.#gathered.get(range.address);
    if (bytes === undefined) {
      bytes = new Uint8Array(range.bytes);
      this.#gathered.set(range.address, bytes);
    }
    for (let at = 0; at < range.bytes; at += PAGE) bytes.set(this.#page(range.address + at), at);
    return bytes;
  }

  #readFx(): FxState {
    const v = this.#vcpu;
    const read = (field: number, length: number) => {
      const at = v.ptr + field;
      return this.#core.bytes(at + length).slice(at, at + length);
    };
    const fsw = v.u32(VCPU_FSW);
    const tags = v.u32(VCPU_FTW);
    const top = (fsw >> 11) & 7;
    let ftw = 0;
    for (let i = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) !== TAG_EMPTY) ftw |= 1 << i;
    return {
      fcw: v.u32(VCPU_FCW),
      fsw,
      ftw,
      mxcsr: v.u32(VCPU_MXCSR),
      st: Array.from({ length: 8 }, (_, i) => read(VCPU_FPR + ((top + i) & 7) * FPR_STRIDE, 10)),
      xmm: Array.from({ length: 8 }, (_, i) => read(VCPU_XMM + i * 16, 16)),
    };
  }
}

const TAG_EMPTY = 3;
const FSW_EXCEPTIONS = 0x3f;
/** ES and B. */
const FSW_SUMMARY = 0x8080;

/** Tag of a register that is not empty: 0 valid, 1 zero, 2 special. */
function tagOf(st: Uint8Array): number {
  const exponent = (st[8]! | (st[9]! << 8)) & 0x7fff;
  if (exponent === 0) return st.subarray(0, 8).every((byte) => byte === 0) ? 1 : 2;
  return exponent === 0x7fff || st[7]! < 0x80 ? 2 : 0;
}

/** Copies the part of a piece that falls into the page at `address`. */
function overlayPart(
  page: Uint8Array,
  address: number,
  piece: { address: number; bytes: Uint8Array },
): void {
  const start = Math.max(address, piece.address);
  const end = Math.min(address + page.length, piece.address + piece.bytes.length);
  if (start >= end) return;
  overlay(page, address, [
    { address: start, bytes: piece.bytes.subarray(start - piece.address, end - piece.address) },
  ]);
}
