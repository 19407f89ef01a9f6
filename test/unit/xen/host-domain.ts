/**
 * A Xen domain as the Host keeps it, on the real core, for tests of hypercalls: each is made by an `int 0x82` of the guest's, leaves the core or
 * not, and is made again as often as it asks for. Pseudo-physical page p is mapped at linear address p << 12, up to 4 MiB.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  POLICY_XEN,
  VCPU_EIP,
  VCPU_HALTED,
  VCPU_XEN_INFO,
} from "../../../abi/vcpu.ts";
import { REG_EAX, REG_EBP, REG_EBX, REG_ECX, REG_EDI, REG_EDX, REG_ESI } from "../../../abi/x86.ts";
import {
  VI_UPCALL_MASK,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_VIRT_BASE,
} from "../../../abi/xen-layout.ts";
import { type Core, instantiateCore } from "../../../host-ts/base/core.ts";
import { loadCoreImage } from "../../../host-ts/base/core-node.ts";
import { FrameMemory } from "../../../host-ts/base/guest-memory.ts";
import type { PersonalityHost } from "../../../host-ts/base/personality.ts";
import { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { parseXenImage } from "../../../host-ts/boot/xen-notes.ts";
import { buildDomain } from "../../../host-ts/xen/builder.ts";
import { XenDomain } from "../../../host-ts/xen/domain.ts";
import { performHypercall } from "../../../host-ts/xen/hypercall-table.ts";
import { setProcessor } from "../../../host-ts/xen/processor.ts";
import { XenMachine } from "../../../host-ts/xen/xen-machine.ts";
import { buildElf } from "../boot/images.ts";
import { type Code, intN, movImm } from "../protect/assembler.ts";

export const RAM_FRAMES = 1024;
/** Linear addresses: mapped memory of a test, where nothing is mapped, and Xen's own area. */
export const DATA = 0x80000;
export const HOLE = 0x700000;
export const XEN_AREA = 0xf5800000;
const CODE = 0x90000;
const STOP = 0x1000;
/** Instructions. */
const SLICE = 1000;

let core: Core | undefined;

/** The vCPU waits, or the guest is dead. */
class StoppedError extends Error {}

export class HostDomain {
  readonly domain: XenDomain;
  readonly host: PersonalityHost;
  readonly core: Core;
  readonly vcpu: VcpuBlock;
  /** Reasons of shutdowns, in their order. */
  readonly shutdowns: number[] = [];
  /** Timers that are set, by name, with their deadlines. */
  readonly timers = new Map<string, number>();
  nowNs = 1_000_000;
  /** Times that the last call left the core. */
  exits = 0;
  /** Slices that it used up. */
  slices = 0;
  readonly #guest: number;

  /** @param machine where it lives, alone by default; domains of one machine are numbered from 1 */
  constructor({ vcpus = 1, fifo = true, machine = new XenMachine() } = {}) {
    core ??= instantiateCore(loadCoreImage(true));
    this.core = core;
    const verbs = core.exports;
    this.#guest = verbs.guestCreate(RAM_FRAMES) >>> 0;
    const memory = new FrameMemory(core, this.#guest, RAM_FRAMES * PAGE_BYTES, (kind, gpa) => {
      throw new Error(`bad ${kind} at ${gpa.toString(16)}`);
    });
    const blocks = Array.from({ length: vcpus }, (_, id) => {
      const block = new VcpuBlock(core!, verbs.vcpuCreate(this.#guest, POLICY_XEN) >>> 0);
      if (block.id !== id) throw new Error(`vCPU ${id} is ${block.id}`);
      return block;
    });
    this.vcpu = blocks[0]!;
    const domain = () => this;
    this.host = {
      core,
      guest: this.#guest,
      vcpus: blocks,
      vcpu: this.vcpu,
      memory,
      clock: {
        get nowNs() {
          return domain().nowNs;
        },
        wallClock: () => ({ seconds: 0, nanoseconds: 0 }),
      },
      timers: {
        set: (name: string, ns: number) => this.timers.set(name, ns),
        cancel: (name: string) => this.timers.delete(name),
      },
      devices: [],
      endTurn: () => {},
      raiseNmi: () => {},
      nudge: () => {},
    } as unknown as PersonalityHost;
    this.domain = new XenDomain(
      this.host,
      { machine, domid: machine.reserve() },
      RAM_FRAMES,
      0,
      (reason) => {
        this.shutdowns.push(reason);
        return 0;
      },
      fifo,
    );
    for (const block of blocks) {
      const info = this.domain.legacyInfoGpa(block.id);
      block.setU32(VCPU_XEN_INFO, info);
      memory.writeU8(info + VI_UPCALL_MASK, 1);
    }
    const image = parseXenImage(
      buildElf({
        segments: [{ paddr: 0x100000, vaddr: 0x100000, bytes: Uint8Array.of(0x90), memsz: 16 }],
        notes: [
          { name: "Xen", type: XEN_ELFNOTE_VIRT_BASE, desc: new Uint8Array(4) },
          { name: "Xen", type: XEN_ELFNOTE_PAE_MODE, desc: Buffer.from("yes\0") },
        ],
      }),
    );
    const start = buildDomain(
      memory,
      { image, initrd: undefined, commandLine: "" },
      {
        p2m: this.domain.reservation.firstP2m,
        sharedInfoMfn: this.domain.map.sharedInfoMfn,
        storePort: 1,
        consolePort: 2,
      },
    );
    setProcessor(this.host, start);
    machine.enter(this.domain);
  }

  /** As a domain dies: what it shares is let go, then vCPUs and memory go. */
  destroy(): void {
    this.domain.destroy();
    this.domain.machine.leave(this.domain.domid);
    for (const { ptr } of this.host.vcpus) this.core.exports.vcpuDestroy(ptr);
    this.core.exports.guestDestroy(this.#guest);
  }

  /** Makes a hypercall. @returns what it gives, signed. */
  call(number: number, ...args: number[]): number {
    this.vcpu.setGpr(REG_EAX, number);
    for (const [i, reg] of [REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI].entries()) {
      this.vcpu.setGpr(reg, (args[i] ?? 0) >>> 0);
    }
    return this.execute(intN(0x82));
  }

  /** Executes instructions in ring 1. @returns what they leave in EAX, signed. */
  execute(...code: Code[]): number {
    const stop = [0x89, 0xc5, ...movImm(REG_EAX, STOP), ...intN(0x82)];
    this.write8(CODE, ...code.flat(), ...stop);
    this.vcpu.setU32(VCPU_EIP, CODE);
    this.exits = 0;
    this.slices = 0;
    while (true) {
      const reason = this.core.exports.run(this.vcpu.ptr, SLICE);
      if (reason === EXIT_BUDGET) {
        this.slices++;
        continue;
      }
      if (reason !== EXIT_HYPERCALL) throw new StoppedError(`exit ${reason}`);
      const asked = this.vcpu.exitArg(0);
      if (asked === STOP) return this.vcpu.gpr(REG_EBP) | 0;
      this.exits++;
      const given = [1, 2, 3, 4, 5].map((i) => this.vcpu.exitArg(i));
      const result = performHypercall(this.domain, asked, given);
      if (result !== undefined) this.core.exports.xenReturn(this.vcpu.ptr, result);
      if (this.vcpu.u32(VCPU_HALTED) !== 0) throw new StoppedError("halted");
    }
  }

  /** Gives everything back that the domain holds of its own frames. @returns the counts that are left: what others hold. */
  relinquish(): number {
    for (const { ptr } of this.host.vcpus) this.core.exports.xenDropTables(ptr);
    return this.core.exports.xenRelinquish(this.vcpu.ptr);
  }

  /** Makes a hypercall that may end or stop the vCPU. @returns what it gives; undefined when the vCPU no longer runs. */
  tryCall(number: number, ...args: number[]): number | undefined {
    try {
      return this.call(number, ...args);
    } catch (error) {
      if (error instanceof StoppedError) return undefined;
      throw error;
    }
  }

  /** Makes a call whose second argument points at these words. */
  callWith(number: number, command: number, ...words: number[]): number {
    this.write32(DATA, ...words);
    return this.call(number, command, DATA);
  }

  write8(lin: number, ...bytes: number[]): void {
    for (const [i, byte] of bytes.entries()) this.host.memory.writeU8(this.gpa(lin + i), byte);
  }
  write32(lin: number, ...words: number[]): void {
    for (const [i, word] of words.entries()) {
      this.host.memory.writeU32(this.gpa(lin + 4 * i), word >>> 0);
    }
  }
  read32(lin: number): number {
    return this.host.memory.readU32(this.gpa(lin));
  }
  readText(lin: number, bytes: number): string {
    const text = Array.from({ length: bytes }, (_, i) =>
      this.host.memory.readU8(this.gpa(lin + i)),
    );
    return Buffer.from(text).toString("latin1");
  }
  mfnOf(page: number): number {
    return this.domain.reservation.firstP2m[page]!;
  }
  gpa(lin: number): number {
    return this.mfnOf(lin >>> 12) * PAGE_BYTES + (lin & (PAGE_BYTES - 1));
  }
}
