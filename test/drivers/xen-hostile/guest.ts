/**
 * A domain that means harm, on the whole Host: registers are set as its kernel could have set them, and the run loop runs it until it stays
 * somewhere. What it says, and where it ends, is its own business; what it leaves is not.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import {
  COUNTER_CORE_CALLS,
  VCPU_CPL,
  VCPU_EIP,
  VCPU_HALTED,
  VCPU_XEN_LOOK,
  VCPU_XEN_MC_LEFT,
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
  REG_EBX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  REG_ESI,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
} from "../../../abi/x86.ts";
import * as xen from "../../../abi/xen.ts";
import * as layout from "../../../abi/xen-layout.ts";
import type { Core } from "../../../host-ts/base/core.ts";
import { HostInputs } from "../../../host-ts/base/inputs.ts";
import type { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { parseXenImage } from "../../../host-ts/boot/xen-notes.ts";
import { resolveConfig } from "../../../host-ts/guest/config.ts";
import { Machine } from "../../../host-ts/guest/machine.ts";
import { runGuest } from "../../../host-ts/guest/run-loop.ts";
import type { XenDomain } from "../../../host-ts/xen/domain.ts";
import type { XenMachine } from "../../../host-ts/xen/xen-machine.ts";
import {
  AREA_BYTES,
  CALLS,
  CONTEXT,
  DATA,
  HANDLER,
  isStaying,
  KERNEL_IMAGE,
  KERNEL_STACK,
  L3_PAGE,
  mfnOf,
  pieceAt,
  RAM_FRAMES,
  USER_OFFSET,
  USER_STACK,
} from "./places.ts";
import { type Call, HERE, LIST, LIST_OFFSET, type Step } from "./steps.ts";

const VCPUS = 2;
/** Numbers of calls that are counted. */
const COUNTED_CALLS = 64;
/** Rounds of the run loop after which a step counts as a hang; a list of a thousand entries takes far fewer. */
const MANY_ROUNDS = 20_000;
/** And after which one that does not stay anywhere is left alone. */
const ROUNDS = 16;
const LONGEST_MS = 10_000;
const ARGUMENTS = [REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI];
const IMAGE = parseXenImage(KERNEL_IMAGE);
const GRANT_BYTES = [0, 8, 16];

/** One domain; when it is dead, another one takes its place. */
export class HostileGuest {
  readonly machine: Machine;
  readonly domain: XenDomain;
  readonly #inputs = new HostInputs();

  constructor(core: Core, xenMachine: XenMachine, domid: number) {
    const config = resolveConfig({
      kernel: KERNEL_IMAGE,
      abi: "xen-pv",
      memoryBytes: RAM_FRAMES * PAGE_BYTES,
      vcpus: VCPUS,
      sliceInstructions: 100,
      mode: "inline",
      xen: { domid },
    });
    this.machine = new Machine(config, {
      core,
      image: IMAGE,
      inputs: this.#inputs,
      console: { write: () => {}, size: () => undefined },
      block: [],
      net: [],
      xenMachine,
      hostMs: () => 0,
      onNotify: () => {},
    });
    this.domain = xenMachine.find(domid) as XenDomain;
    this.#setUp();
  }

  /** Whether it can make another step. */
  get isDead(): boolean {
    return this.machine.isDead || this.machine.personality.control?.isSuspended === true;
  }

  /** Hypercalls performed by the core and by the Host, entries of multicalls included. */
  get calls(): number {
    let sum = 0;
    for (const count of this.machine.hostCalls) sum += count;
    for (const vcpu of this.machine.vcpus) {
      for (let n = 0; n < COUNTED_CALLS; n++) sum += vcpu.counter(COUNTER_CORE_CALLS + 8 * n);
    }
    return sum;
  }

  /** Makes a step. */
  perform(step: Step): void {
    if (step.piece < 0) {
      this.#writeGrant(step.registers);
      return;
    }
    const vcpu = this.#takeTurn(step.vcpu);
    if (vcpu === undefined) return;
    const { calls } = step;
    const [only] = calls;
    let registers = step.registers;
    this.#write(DATA, step.words, DATA);
    this.#write(KERNEL_STACK - 64, step.words, DATA);
    for (const [index, call] of calls.entries()) {
      this.#write(DATA + AREA_BYTES * index, call.words, DATA + AREA_BYTES * index);
    }
    if (calls.length > 1) {
      this.#writeMulticall(calls);
      registers = [CALLS, calls.length, 0, 0, 0, xen.HYPERVISOR_MULTICALL];
    } else if (only !== undefined) {
      const args = ARGUMENTS.map((_, i) => only.args[i] ?? 0);
      registers = [...args, only.number];
    }
    if (!this.#enter(vcpu, step)) return;
    for (const [index, register] of [...ARGUMENTS, REG_EAX].entries()) {
      vcpu.setGpr(register, here(registers[index] ?? 0, DATA));
    }
    if (step.piece !== 0)
      vcpu.setGpr(REG_ECX, vcpu.gpr(REG_ECX) & ((isRep(step.piece) ? 0xfff : 0xffffffff) >>> 0));
    this.#run(vcpu, step);
  }

  /** As the embedder ends a guest. Throws when something of it is left. */
  destroy(): void {
    this.machine.dispose();
  }

  /** Runs until `vcpu` stays somewhere, sleeps, or the domain is dead. */
  #run(vcpu: VcpuBlock, step: Step): void {
    const startedMs = performance.now();
    let rounds = 0;
    const isOver = () => {
      rounds++;
      return rounds > 1 && (isDone(vcpu) || rounds > this.#patience(vcpu));
    };
    const outcome = runGuest(this.machine, isOver);
    if (rounds > MANY_ROUNDS || performance.now() - startedMs > LONGEST_MS) {
      throw new Error(`a hang (${rounds} rounds, ${outcome.kind}): ${JSON.stringify(step)}`);
    }
  }

  /** A call that is made again and again is at `int 0x82`; code of any kind need not ever stay anywhere. */
  #patience(vcpu: VcpuBlock): number {
    const isCalling = vcpu.eip === pieceAt(0) || vcpu.u32(VCPU_XEN_MC_LEFT) !== 0;
    return isCalling && vcpu.u32(VCPU_HALTED) === 0 ? MANY_ROUNDS : ROUNDS;
  }

  /** The vCPU wanted, or the other one, when it is up and does not wait; something may come that both wait for. */
  #takeTurn(wanted: number): VcpuBlock | undefined {
    const { machine } = this;
    const order = [machine.vcpus[wanted]!, machine.vcpus[1 - wanted]!];
    for (let attempt = 0; attempt < 3; attempt++) {
      const vcpu = order.find(
        (each) => this.domain.vcpus.isUp(each) && each.u32(VCPU_HALTED) === 0,
      );
      if (vcpu !== undefined) {
        let rounds = 0;
        const isReady = () => machine.vcpu === vcpu && vcpu.u32(VCPU_XEN_MC_LEFT) === 0;
        if (machine.vcpu !== vcpu) machine.endTurn();
        if (!isReady()) runGuest(machine, () => isReady() || rounds++ > ROUNDS);
        return isReady() && !this.isDead && vcpu.u32(VCPU_HALTED) === 0 ? vcpu : undefined;
      }
      if (attempt === 0)
        this.#inputs.post({ device: "console", kind: "console", data: Uint8Array.of(65) });
      else this.machine.raiseNmi(order[0]!);
      let rounds = 0;
      const outcome = runGuest(machine, () => rounds++ > ROUNDS);
      if (outcome.kind === "dead") return undefined;
    }
    // Nothing will wake it.
    machine.giveUp();
    return undefined;
  }

  /** Stands at a piece of code with flat segments, as the kernel or a program of it. */
  #enter(vcpu: VcpuBlock, step: Step): boolean {
    const { exports } = this.machine.core;
    const isUser = step.ring === 3;
    vcpu.setU32(VCPU_CPL, 1);
    for (const seg of [SEG_FS, SEG_GS]) exports.xenLoadSegment(vcpu.ptr, seg, 0);
    const done = exports.xenLand(
      vcpu.ptr,
      isUser ? xen.FLAT_RING3_CS : xen.FLAT_RING1_CS,
      pieceAt(step.piece) + (isUser ? USER_OFFSET : 0),
      EFLAGS_FIXED | EFLAGS_IF,
      isUser ? xen.FLAT_RING3_SS : xen.FLAT_RING1_SS,
      (isUser ? USER_STACK : KERNEL_STACK) - 64,
    );
    for (const seg of [SEG_DS, SEG_ES]) {
      exports.xenLoadSegment(vcpu.ptr, seg, isUser ? xen.FLAT_RING3_DS : xen.FLAT_RING1_DS);
    }
    exports.updateMode(vcpu.ptr);
    const info = this.domain.vcpuInfoGpa(vcpu);
    this.machine.memory.writeU8(info + layout.VI_UPCALL_MASK, step.isMasked ? 1 : 0);
    vcpu.setU32(VCPU_XEN_LOOK, 1);
    return done !== 0;
  }

  #setUp(): void {
    const vcpu = this.machine.vcpus[0];
    this.#writeContext();
    const call = (number: number, args: readonly number[], words: readonly number[] = []) =>
      this.perform({
        domain: 0,
        vcpu: 0,
        ring: 1,
        piece: 0,
        calls: [{ number, args, words }],
        registers: [],
        words: [],
        isMasked: true,
      });
    // The program's page, its stack and data.
    for (const lin of [pieceAt(0) + USER_OFFSET, USER_STACK - PAGE_BYTES, DATA]) {
      const entry = mfnOf(lin >>> 12) * PAGE_BYTES + (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
      call(xen.HYPERVISOR_UPDATE_VA_MAPPING, [(lin & ~0xfff) >>> 0, entry, 0, 2]);
    }
    const traps = [0, 1, 3, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 19, 0x80].flatMap((vector) => {
      const flags = vector === 0x80 || vector === 3 ? 3 : vector === 14 ? 4 : 0;
      return [(vector | (flags << 8) | (xen.FLAT_RING1_CS << 16)) >>> 0, HANDLER];
    });
    call(xen.HYPERVISOR_SET_TRAP_TABLE, [HERE], [...traps, 0, 0]);
    call(xen.HYPERVISOR_STACK_SWITCH, [xen.FLAT_RING1_SS, KERNEL_STACK]);
    const { FLAT_RING1_CS } = xen;
    call(xen.HYPERVISOR_SET_CALLBACKS, [FLAT_RING1_CS, HANDLER, FLAT_RING1_CS, HANDLER]);
    if (this.isDead || !isStaying(vcpu.u32(VCPU_EIP))) throw new Error("the kernel does not begin");
  }

  /** A context with which the second vCPU can come up. */
  #writeContext(): void {
    const context = new DataView(new ArrayBuffer(layout.VGC_BYTES));
    const set = (at: number, value: number) => context.setUint32(at, value, true);
    const user = layout.VGC_USER_REGS;
    set(layout.VGC_FLAGS, layout.VGCF_IN_KERNEL);
    set(user + layout.CUR_EIP, HANDLER);
    set(user + layout.CUR_CS, xen.FLAT_RING1_CS);
    set(user + layout.CUR_SS, xen.FLAT_RING1_SS);
    set(user + layout.CUR_ESP, KERNEL_STACK - 512);
    for (const at of [layout.CUR_DS, layout.CUR_ES]) set(user + at, xen.FLAT_RING1_DS);
    set(layout.VGC_KERNEL_SS, xen.FLAT_RING1_SS);
    set(layout.VGC_KERNEL_SP, KERNEL_STACK - 512);
    set(layout.VGC_CTRLREG + 12, mfnOf(L3_PAGE) << 12);
    for (let vector = 0; vector < 256; vector++) {
      const at = layout.VGC_TRAP_CTXT + vector * layout.TRAP_INFO_BYTES;
      set(at + layout.TRAP_INFO_CS, xen.FLAT_RING1_CS);
      set(at + layout.TRAP_INFO_ADDRESS, HANDLER);
    }
    for (const [cs, eip] of [
      [layout.VGC_EVENT_CALLBACK_CS, layout.VGC_EVENT_CALLBACK_EIP],
      [layout.VGC_FAILSAFE_CALLBACK_CS, layout.VGC_FAILSAFE_CALLBACK_EIP],
    ] as const) {
      set(cs, xen.FLAT_RING1_CS);
      set(eip, HANDLER);
    }
    this.machine.memory.write(mfnOf(CONTEXT >>> 12) * PAGE_BYTES, new Uint8Array(context.buffer));
  }

  #writeMulticall(calls: readonly Call[]): void {
    for (const [index, { number, args }] of calls.entries()) {
      const words = [number, 0xdead, ...Array.from({ length: 6 }, (_, i) => args[i] ?? 0)];
      this.#write(CALLS + layout.MULTICALL_ENTRY_BYTES * index, words, DATA + AREA_BYTES * index);
    }
  }

  /** An entry of the grant table, as a kernel that has it mapped writes it. */
  #writeGrant([ref = 0, flags = 0, domid = 0, ...frame]: readonly number[]): void {
    const { memory } = this.machine;
    const { version } = this.domain.grants;
    const at = this.domain.map.grantMfn * PAGE_BYTES + ref * GRANT_BYTES[version]!;
    const to = domid === xen.DOMID_SELF ? this.domain.domid : domid;
    memory.writeU32(at, ((flags & 0xffff) | (to << 16)) >>> 0);
    for (const [index, word] of frame.slice(0, version === 1 ? 1 : 3).entries()) {
      memory.writeU32(at + 4 + 4 * index, word);
    }
  }

  /** Words into the pages that the domain began with, while they are its own and no tables: what its kernel could write. */
  #write(lin: number, words: readonly number[], target: number): void {
    if (words.length === 0) return;
    const mfn = mfnOf(lin >>> 12);
    if (!this.domain.reservation.isUsable(mfn, true)) return;
    const bytes = new Uint8Array(4 * words.length);
    const view = new DataView(bytes.buffer);
    for (const [index, word] of words.entries())
      view.setUint32(4 * index, here(word, target), true);
    const room = PAGE_BYTES - (lin & (PAGE_BYTES - 1));
    this.machine.memory.write(mfn * PAGE_BYTES + (lin & (PAGE_BYTES - 1)), bytes.subarray(0, room));
  }
}

function here(word: number, target: number): number {
  if (word === HERE) return target;
  return (word === LIST ? target + LIST_OFFSET : word) >>> 0;
}

/** A list of calls may be about to go on where the code would stay. */
function isDone(vcpu: VcpuBlock): boolean {
  return isStaying(vcpu.eip) && vcpu.u32(VCPU_XEN_MC_LEFT) === 0;
}

function isRep(piece: number): boolean {
  return piece === 7 || piece === 8;
}
