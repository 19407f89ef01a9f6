/**
 * A vCPU at CPL 0 in flat 32-bit code without paging, for tests of single rules: bytes go in, exits come out.
 */
import {
  EXIT_IO_IN,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  PAGING_NONE,
  POLICY_NATIVE,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_VALUES,
  VCPU_PAGING,
} from "../../abi/vcpu.ts";
import { ATTR_DB, ATTR_G, CR0_PE, EFLAGS_FIXED } from "../../abi/x86.ts";
import { type Core, instantiateCore } from "../../host-ts/base/core.ts";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import { VcpuBlock } from "../../host-ts/base/vcpu-block.ts";

const PAGE = 0x1000;
const RAM_FRAMES = 64;
/** First byte of device memory, one page long. */
export const DEVICE = RAM_FRAMES * PAGE;
/** Where code is loaded. */
export const CODE = 0x1000;
const HLT = 0xf4;

/** What the Host was asked: exit reason, then the exit's words. */
export type Exit = readonly number[];

/** See the file header. */
export class BareMachine {
  readonly vcpu: VcpuBlock;
  readonly #core: Core;
  readonly #guest: number;

  constructor(core = instantiateCore(loadCoreImage(true)), guest?: number) {
    this.#core = core;
    const verbs = this.#core.exports;
    this.#guest = guest ?? verbs.guestCreate(RAM_FRAMES) >>> 0;
    verbs.guestSetLimits(this.#guest, RAM_FRAMES, RAM_FRAMES, RAM_FRAMES + 1);
    this.vcpu = new VcpuBlock(this.#core, verbs.vcpuCreate(this.#guest, POLICY_NATIVE) >>> 0);
    const flat = { base: 0, limit: 0xffffffff };
    for (let s = 0; s < 6; s++) {
      const attr = (s === 1 ? 0x9b : 0x93) | ATTR_DB | ATTR_G;
      this.vcpu.setSegment(s, { selector: s === 1 ? 8 : 16, ...flat, attr });
    }
    this.vcpu.setU32(VCPU_CR0, CR0_PE);
    this.vcpu.setU32(VCPU_PAGING, PAGING_NONE);
    this.vcpu.setU32(VCPU_CPL, 0);
    this.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED);
    this.updateMode();
  }

  /** Another guest in the same core. */
  createNeighbour(): BareMachine {
    return new BareMachine(this.#core);
  }

  /** Another vCPU of the same guest. */
  createSibling(): BareMachine {
    return new BareMachine(this.#core, this.#guest);
  }

  /** The INIT signal. */
  init(): void {
    this.#core.exports.vcpuInit(this.vcpu.ptr);
  }

  write(gpa: number, bytes: ArrayLike<number>): void {
    for (let i = 0; i < bytes.length; i++) {
      const [memory, at] = this.#byte(gpa + i);
      memory[at] = bytes[i]!;
    }
  }

  read(gpa: number, length: number): number[] {
    return Array.from({ length }, (_, i) => {
      const [memory, at] = this.#byte(gpa + i);
      return memory[at]!;
    });
  }

  /** Loads `code` with a HLT behind it, sets registers (EAX first; undefined ones keep their value), points EIP at it. */
  load(code: readonly number[], regs: readonly (number | undefined)[]): void {
    this.write(CODE, [...code, HLT]);
    regs.forEach((value, r) => {
      if (value !== undefined) this.vcpu.setGpr(r, value);
    });
    this.vcpu.setU32(VCPU_EIP, CODE);
  }

  /** To be called after segment registers were set directly. */
  updateMode(): void {
    this.#core.exports.updateMode(this.vcpu.ptr);
  }

  /** Runs once. @returns the exit reason and its first four words. */
  run(budget = 1_000_000): Exit {
    const reason = this.#core.exports.run(this.vcpu.ptr, budget);
    return [reason, ...[0, 1, 2, 3].map((i) => this.vcpu.exitArg(i))];
  }

  /**
   * Runs until an exit that is no device access, answering reads with 1, 2, 3...
   * @returns every exit on the way, the last one included.
   */
  runDevices(): Exit[] {
    const exits: Exit[] = [];
    let answer = 0;
    for (;;) {
      const exit = this.run();
      exits.push(exit);
      const isRead = exit[0] === EXIT_MMIO_READ || (exit[0] === EXIT_IO_IN && exit[3] === 1);
      if (!isRead && exit[0] !== EXIT_MMIO_WRITE) return exits;
      const count = this.vcpu.u32(VCPU_MMIO_COUNT);
      this.vcpu.setU32(VCPU_MMIO_VALUES + 8 * count, isRead ? ++answer : 0);
      this.vcpu.setU32(VCPU_MMIO_VALUES + 8 * count + 4, 0);
      this.vcpu.setU32(VCPU_MMIO_COUNT, count + 1);
    }
  }

  #byte(gpa: number): readonly [memory: Uint8Array, at: number] {
    const ptr = this.#core.exports.frameForWrite(this.#guest, gpa >>> 12) >>> 0;
    return [this.#core.bytes(ptr + PAGE), ptr + (gpa & (PAGE - 1))];
  }
}
