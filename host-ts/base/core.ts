/**
 * The machine as the Host sees it: the shared memory, one core instance per thread, and the verbs of core-as/index.ts.
 * This is the only file that touches WebAssembly and the AssemblyScript loader; it must run in Node, workers and browsers.
 */

import { instantiateSync } from "@assemblyscript/loader";
import { BugError, OutOfMemoryError } from "./errors.ts";

/** What core-as/index.ts exports. Pointers and addresses come back signed; apply `>>> 0`. */
export interface CoreExports {
  /** Once per shared memory, before anything else. */
  poolInit(): void;
  /** Once per instance: claims the thread's arena. 0 when memory is exhausted. */
  threadInit(): number;
  guestCreate(ramFrames: number): number;
  guestDestroy(guest: number): void;
  guestSetLimits(
    guest: number,
    limitFrames: number,
    mmioStartFrame: number,
    mmioEndFrame: number,
  ): void;
  vcpuCreate(guest: number, policy: number): number;
  /** Runs at most `budget` instructions and returns EXIT_*. */
  run(vcpu: number, budget: number): number;
  /** Host pointer of a frame for reading; 0 when it is neither RAM nor a device page. */
  frameForRead(guest: number, gfn: number): number;
  /** Host pointer of a frame for writing: breaks sharing, drops decoded code, marks it dirty; 0 when it cannot be had. */
  frameForWrite(guest: number, gfn: number): number;
  /** Guest-physical address that the guest's own tables give for `lin`, or -1. */
  walk(vcpu: number, lin: number, write: number, user: number): number;
  flushAll(vcpu: number): void;
  flushPage(vcpu: number, lin: number): void;
  /** Runs what is left of a slice that a trap, a TLB miss or a hypercall interrupted, and returns EXIT_*. */
  resume(vcpu: number): number;
  /** Drops the translations of one page, and all of them, in the directory at `cr3` where that is known. */
  flushPageIn(vcpu: number, cr3: number, lin: number): void;
  flushDirectory(vcpu: number, cr3: number): void;
  /** Drops a page's translations (in every directory if `everywhere`) and lets the accesses that `pte` allows be made without a shadow fault. */
  shadowPage(vcpu: number, cr3: number, everywhere: number, lin: number, pte: number): void;
  /** 1 when translations of the directory at `cr3` may be cached. */
  knowsDirectory(vcpu: number, cr3: number): number;
  /** After the Host wrote CR3 or the paging mode, and before verbs on translations where another vCPU may have run since. */
  activateDirectory(vcpu: number): void;
  /** Right after EXIT_SHADOW_FAULT: maps the page as the Host found it in the guest's tables; 0 when the exit record says why not. */
  mapPage(vcpu: number, lin: number, kind: number, gfn: number, entry: number): number;
  /** Sets accessed and dirty bits in a table entry of the guest; 0 when the exit record says why not. */
  markEntry(vcpu: number, gpa: number, bits: number): number;
  /** 1 when the guest kernel may write at `lin`; 0 with its death in the exit record. */
  pinPage(vcpu: number, lin: number): number;
  /** Right after EXIT_SHADOW_FAULT: the guest's own page fault; 0 when the exit record says why it could not take it. */
  reflectPageFault(vcpu: number, lin: number, errorCode: number): number;
  /** Of the vCPU that ran last on this thread. 1 when delivered; 0 when the exit record says why not. */
  deliverTrap(vcpu: number, vector: number, errorCode: number, address: number): number;
  deliverInterrupt(vcpu: number, vector: number): number;
  /** Delivers the NMI that waits in VCPU_NMI, unless it must go on waiting; 0 when the exit record says why the guest dies. */
  deliverNmi(vcpu: number): number;
  /** CPU_MODEL_* of a vCPU that has not run. */
  vcpuSetModel(vcpu: number, model: number): void;
  /** The INIT signal, for POLICY_NATIVE, between two instructions. */
  vcpuInit(vcpu: number): void;
  vcpuDestroy(vcpu: number): void;
  updateMode(vcpu: number): void;

  // Xen domains. Frame numbers are machine frames; errors are negative errno values.

  /** Gives a guest its (empty) page information; 0 when memory is exhausted. */
  xenCreate(guest: number): number;
  /** First L1 table that maps the machine-to-physical table, and first frame of that. Before the first page table is checked. */
  xenSetMachineToPhysical(guest: number, tablesMfn: number, tableMfn: number): void;
  /** Gives frames to the domain: `owner` is PAGE_OWNED, PAGE_SHARED or PAGE_READ_ONLY. 0 when one is somebody's or memory is exhausted. */
  xenAddFrames(guest: number, mfn: number, count: number, owner: number): number;
  /** Takes a frame of RAM; its memory goes with the last reference. 0 when it is not RAM of the domain's. */
  xenTakeFrame(vcpu: number, mfn: number): number;
  /** Type word: PGT_* and PAGE_*; 0 for a frame not known. */
  xenTypeOf(guest: number, mfn: number): number;
  xenReferencesOf(guest: number, mfn: number): number;
  /** Takes a reference, as writable too on demand, until xenPutFrame with the same `writable`. 0 or a negative errno. */
  xenGetFrame(vcpu: number, mfn: number, writable: number): number;
  xenPutFrame(vcpu: number, mfn: number, writable: number): void;
  /** Lets `guest` see `otherMfn` of `other` as its own `mfn` (PAGE_FOREIGN); `flags` is PAGE_READ_ONLY or 0. 0 when that cannot be. */
  xenShareFrame(guest: number, mfn: number, other: number, otherMfn: number, flags: number): number;
  /** 0 while an entry still maps the frame. */
  xenUnshareFrame(guest: number, mfn: number): number;
  /** Makes the entry at `entryGpa` (0: the one that maps `lin`) map a frame of PAGE_FOREIGN. 0 or a negative errno. */
  xenMapGranted(vcpu: number, entryGpa: number, lin: number, low: number, high: number): number;
  /** Clears an entry that maps `mfn` with `rights`, or moves the entry of `newLin` (not 0) there. 0 or a negative errno. */
  xenUnmapGranted(
    vcpu: number,
    entryGpa: number,
    lin: number,
    mfn: number,
    rights: number,
    newLin: number,
  ): number;
  /** Moves a frame of RAM that nothing refers to, with its contents, to another domain's number `otherMfn`; 0 when that cannot be. */
  xenMoveFrame(vcpu: number, mfn: number, other: number, otherMfn: number): number;
  /** Pins (checks) a table of type PGT_L1 to PGT_L3. 0 or a negative errno. */
  xenPin(vcpu: number, mfn: number, type: number): number;
  /** Makes the L3 table `mfn` the vCPU's, checking it if need be. 0 or a negative errno. */
  xenSetBase(vcpu: number, mfn: number): number;
  /** Frame `index` (0-13) of the GDT; mfn 0 is none. 0 or a negative errno. */
  xenSetGdtFrame(vcpu: number, index: number, mfn: number): number;
  xenSetLdt(vcpu: number, lin: number, entries: number): number;
  /** Loads CS:EIP, EFLAGS (IF set, IOPL 0) and SS:ESP with all checks; 0 when a selector cannot be loaded. */
  xenLand(vcpu: number, cs: number, eip: number, flags: number, ss: number, esp: number): number;
  /** Loads ES, DS, FS or GS; 0 when it cannot be loaded. */
  xenLoadSegment(vcpu: number, seg: number, selector: number): number;
  /** Begins a vCPU whose registers the Host has set, of its segments the selectors only; 0 with EXIT_KILL recorded. */
  xenStart(vcpu: number): number;
  /** Debug register `n` as by set_debugreg; 0 or a negative errno. */
  xenSetDebugRegister(vcpu: number, n: number, value: number): number;
  /** Answers EXIT_HYPERCALL: into EAX, or into the entry of the multicall, which goes on by itself at the next run or resume. */
  xenReturn(vcpu: number, value: number): void;
  /** Performs the call that left as the core would have, answer included: 1, or 2 when it is made again for the rest; 0 when the Host must, or with EXIT_KILL recorded. */
  xenPerform(vcpu: number): number;
  /** The hypercall that the vCPU left with is made again with the arguments of VCPU_XEN_ARGS. No xenReturn then. */
  xenAgain(vcpu: number): void;
  /** Settles what is Xen's own of the fault that left: 1; 0 when it is the guest's, as VCPU_FAULT_* say; 2 with EXIT_KILL recorded. */
  xenSettleFault(vcpu: number): number;
  /** 1 when an event waits and is not masked. */
  xenHasUpcall(vcpu: number): number;
  /** Gives back base pointer, GDT and LDT. */
  xenDropTables(vcpu: number): void;
  /** Undoes all pins; the sum of all counts that are left. */
  xenRelinquish(vcpu: number): number;
}

/** Wasm pages of 64 KiB; the same numbers stand in asconfig.json because the import must match. */
const INITIAL_PAGES = 128;
const MAXIMUM_PAGES = 65536;

/** What threads of one process share: the compiled module and the memory that holds every guest. */
export interface CoreImage {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Told of the phases (PHASE_*) of a vCPU whose VCPU_PHASES is set, as they begin. Default: nobody is. */
  readonly onPhase?: ((phase: number) => void) | undefined;
}

/** Creates the shared memory of this process and initialises the frame pool in it. */
export function createCoreImage(module: WebAssembly.Module): CoreImage {
  const memory = new WebAssembly.Memory({
    initial: INITIAL_PAGES,
    maximum: MAXIMUM_PAGES,
    shared: true,
  });
  const image = { module, memory };
  instantiate(image).poolInit();
  return image;
}

/**
 * Instantiates the core for this thread.
 * @throws OutOfMemoryError when the shared memory has no room for the thread's arena.
 */
export function instantiateCore(image: CoreImage): Core {
  const exports = instantiate(image);
  if (exports.threadInit() === 0) {
    throw new OutOfMemoryError("the shared memory has no room for another thread");
  }
  return new Core(image.memory, exports);
}

/** One thread's core: its verbs, and views of the memory it works on. */
export class Core {
  readonly exports: CoreExports;
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array;
  #words: DataView;
  #cells: Uint32Array;

  constructor(memory: WebAssembly.Memory, exports: CoreExports) {
    this.#memory = memory;
    this.exports = exports;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new DataView(memory.buffer);
    this.#cells = new Uint32Array(memory.buffer);
  }

  /** The word at `ptr`, a multiple of 4, unsigned. */
  cell(ptr: number): number {
    const value = this.#cells[ptr >>> 2];
    if (value !== undefined) return value;
    this.#refresh(ptr + 4);
    return this.#cells[ptr >>> 2]!;
  }

  /** Writes the word at `ptr`, which lies in a block that has been read. */
  setCell(ptr: number, value: number): void {
    this.#cells[ptr >>> 2] = value;
  }

  /** The whole memory as bytes, long enough to hold `end`; do not keep it across a call into the core. */
  bytes(end: number): Uint8Array {
    if (end > this.#bytes.length) this.#refresh(end);
    return this.#bytes;
  }

  /** The same as little-endian words. */
  words(end: number): DataView {
    if (end > this.#bytes.length) this.#refresh(end);
    return this.#words;
  }

  /** Another thread may have grown the memory: growing by zero makes this thread see it. */
  #refresh(end: number): void {
    if (this.#memory.buffer.byteLength < end) this.#memory.grow(0);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#words = new DataView(this.#memory.buffer);
    this.#cells = new Uint32Array(this.#memory.buffer);
    if (this.#bytes.length < end) throw new BugError(`pointer past the end of memory: ${end}`);
  }
}

function instantiate(image: CoreImage): CoreExports {
  const env = {
    memory: image.memory,
    abort: (...where: number[]) => reportAbort(image.memory, where),
    phaseClock: image.onPhase ?? (() => {}),
  };
  const { instance } = instantiateSync(image.module, { env });
  return instance.exports as unknown as CoreExports;
}

/** An assertion of the core failed. Message and file are UTF-16 strings with their byte length just before them. */
function reportAbort(memory: WebAssembly.Memory, where: number[]): never {
  const [message = 0, file = 0, line = 0, column = 0] = where;
  const text = (ptr: number): string => {
    if (ptr === 0) return "?";
    const sizeBytes = new DataView(memory.buffer).getUint32(ptr - 4, true);
    const units = new Uint16Array(memory.buffer.slice(ptr, ptr + sizeBytes));
    return String.fromCharCode(...units);
  };
  throw new BugError(`core: ${text(message)} at ${text(file)}:${line}:${column}`);
}
