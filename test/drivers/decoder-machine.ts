/**
 * Asks the core how long an instruction is and whether it exists, by running it: its last bytes stand before a page that is not there,
 * so an instruction that is longer than the bytes it got faults on fetching, with CR2 at the boundary.
 * Nothing but the code is mapped, and the code is read-only, so whatever else the instruction does ends at once and spoils nothing.
 */
import {
  EXIT_TRAP,
  PAGING_PAE,
  POLICY_EXIT,
  VCPU_CPL,
  VCPU_CPU_MODEL,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EFER,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_PAGING,
  VCPU_PDPTE,
  VCPU_SIZE,
} from "../../abi/vcpu.ts";
import {
  ATTR_DB,
  ATTR_G,
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  EFER_NXE,
  EFLAGS_FIXED,
  PFERR_FETCH,
  PTE_P,
  VECTOR_GP,
  VECTOR_PF,
  VECTOR_UD,
} from "../../abi/x86.ts";
import { type Core, instantiateCore } from "../../host-ts/base/core.ts";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import { VcpuBlock } from "../../host-ts/base/vcpu-block.ts";

const PAGE = 0x1000;
const RAM_FRAMES = 16;
const CODE = 0x1000;
/** End of the only page that is mapped. */
const BOUNDARY = CODE + PAGE;
const DIRECTORY = 0x3000;
const TABLE = 0x4000;

/** What became of an attempt. */
export type Verdict = "runs" | "undefined" | "too long" | "wants more";

export class DecoderMachine {
  readonly #core: Core = instantiateCore(loadCoreImage(true));
  readonly #guest: number;
  readonly #vcpu: VcpuBlock;
  /** The vCPU block as it was before the first instruction. */
  readonly #fresh: Uint8Array;

  /**
   * @param bits default size of the code segment
   * @param model CPU_MODEL_*
   */
  constructor(bits: 16 | 32, model: number) {
    const verbs = this.#core.exports;
    this.#guest = verbs.guestCreate(RAM_FRAMES) >>> 0;
    verbs.guestSetLimits(this.#guest, RAM_FRAMES, RAM_FRAMES, RAM_FRAMES);
    const ptr = verbs.vcpuCreate(this.#guest, POLICY_EXIT) >>> 0;
    this.#vcpu = new VcpuBlock(this.#core, ptr);
    this.#setWord(DIRECTORY, TABLE | PTE_P);
    this.#setWord(TABLE + 8 * (CODE / PAGE), CODE | PTE_P);
    const v = this.#vcpu;
    const size = bits === 32 ? ATTR_DB : 0;
    for (let s = 0; s < 6; s++) {
      const attr = (s === 1 ? 0x9b : 0x93) | ATTR_G | size;
      v.setSegment(s, { selector: s === 1 ? 8 : 16, base: 0, limit: 0xffffffff, attr });
    }
    v.setU32(VCPU_CR0, (CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET) >>> 0);
    v.setU32(VCPU_CR4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT);
    v.setU32(VCPU_CR3, 0x2000);
    v.setU32(VCPU_PDPTE, DIRECTORY | PTE_P);
    v.setU32(VCPU_EFER, EFER_NXE);
    v.setU32(VCPU_PAGING, PAGING_PAE);
    v.setU32(VCPU_CPL, 0);
    v.setU32(VCPU_CPU_MODEL, model);
    v.setU32(VCPU_EFLAGS, EFLAGS_FIXED);
    verbs.updateMode(ptr);
    this.#fresh = this.#core.bytes(ptr + VCPU_SIZE).slice(ptr, ptr + VCPU_SIZE);
  }

  #setWord(gpa: number, value: number): void {
    const ptr = this.#core.exports.frameForWrite(this.#guest, gpa / PAGE) >>> 0;
    this.#core.words(ptr + PAGE).setUint32(ptr + (gpa % PAGE), value, true);
  }

  /** Lets the core have the first `length` bytes of `code`. */
  attempt(code: Uint8Array, length: number): Verdict {
    const verbs = this.#core.exports;
    const v = this.#vcpu;
    const page = verbs.frameForWrite(this.#guest, CODE / PAGE) >>> 0;
    const memory = this.#core.bytes(page + PAGE);
    memory.set(length < code.length ? code.subarray(0, length) : code, page + PAGE - length);
    memory.set(this.#fresh, v.ptr);
    const start = BOUNDARY - length;
    v.setU32(VCPU_EIP, start);
    const reason = verbs.run(v.ptr, 1);
    // A software interrupt of the same number has EIP behind it.
    if (reason !== EXIT_TRAP || v.eip !== start) return "runs";
    const vector = v.exitArg(0);
    if (vector === VECTOR_UD) return "undefined";
    const isFetch = vector === VECTOR_PF && (v.exitArg(1) & PFERR_FETCH) !== 0;
    if (isFetch && v.exitArg(2) === BOUNDARY) return "wants more";
    return vector === VECTOR_GP && length > 15 ? "too long" : "runs";
  }
}
