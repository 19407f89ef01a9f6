/**
 * A core without a processor: real linear memory and a real frame table in JavaScript, and `run` replaced by a script. It lets
 * the Host be tested for what the Host decides, one exit at a time.
 */

import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  VCPU_EIP,
  VCPU_EXIT_ARG,
  VCPU_EXIT_REASON,
  VCPU_ID,
  VCPU_RETIRED,
} from "../../abi/vcpu.ts";
import { Core, type CoreExports } from "../../host-ts/base/core.ts";
import { VcpuBlock } from "../../host-ts/base/vcpu-block.ts";

const GUEST = 0x1000;
const VCPU = 0x2000;
/** Blocks lie one page apart. */
const VCPU_STRIDE = 0x1000;
const FRAMES = 0x10000;

/** What one entry does: gets the budget, changes the block, returns EXIT_*. */
export type Step = (vcpu: VcpuBlock, budget: number) => number;

/** The fake and what it saw. */
export class FakeCore {
  readonly core: Core;
  readonly budgets: number[] = [];
  readonly delivered: number[] = [];
  /** vCPUs that got the INIT signal. */
  readonly initialised: number[] = [];
  readonly flushes: string[] = [];
  /** Performed one per entry; when empty, the guest burns its budget. */
  readonly script: Step[] = [];
  /** What deliverInterrupt answers. */
  accepts = true;
  destroyed = 0;
  /** No frame that was never touched can be had. */
  isExhausted = false;
  /** 0 makes guestCreate fail. */
  guestPtr = GUEST;
  readonly #frames = new Map<number, number>();
  readonly #memory = new WebAssembly.Memory({ initial: 2, maximum: 1024, shared: true });
  #vcpus = 0;
  #next = FRAMES;
  #limitFrames = 0;

  constructor() {
    this.core = new Core(this.#memory, this.#verbs());
  }

  #frame(gfn: number): number {
    if (gfn >= this.#limitFrames) return 0;
    let ptr = this.#frames.get(gfn);
    if (ptr === undefined) {
      if (this.isExhausted) return 0;
      ptr = this.#next;
      // Neighbouring guest frames are never neighbours in memory, so page-wise copying is put to the test.
      this.#next += 2 * PAGE_BYTES;
      this.#frames.set(gfn, ptr);
      const missing = this.#next - this.#memory.buffer.byteLength;
      if (missing > 0) this.#memory.grow(Math.ceil(missing / 65536));
    }
    return ptr;
  }

  #verbs(): CoreExports {
    const never = () => {
      throw new Error("the fake core does not have this verb");
    };
    return {
      poolInit: never,
      threadInit: () => 1,
      guestCreate: (ramFrames) => {
        this.#limitFrames = ramFrames;
        return this.guestPtr;
      },
      guestDestroy: () => {
        this.destroyed++;
      },
      guestSetLimits: (_guest, limitFrames) => {
        this.#limitFrames = limitFrames;
      },
      vcpuCreate: () => {
        const id = this.#vcpus++;
        const ptr = VCPU + id * VCPU_STRIDE;
        new VcpuBlock(this.core, ptr).setU32(VCPU_ID, id);
        return ptr;
      },
      run: (ptr, budget) => {
        this.budgets.push(budget);
        const vcpu = new VcpuBlock(this.core, ptr);
        const reason = (this.script.shift() ?? burn)(vcpu, budget);
        vcpu.setU32(VCPU_EXIT_REASON, reason);
        return reason;
      },
      frameForRead: (_guest, gfn) => this.#frame(gfn),
      frameForWrite: (_guest, gfn) => this.#frame(gfn),
      walk: (_vcpu, lin) => (lin < this.#limitFrames * PAGE_BYTES ? lin : -1),
      flushAll: () => {
        this.flushes.push("all");
      },
      flushPage: (_vcpu, lin) => {
        this.flushes.push(lin.toString(16));
      },
      deliverTrap: never,
      resume: never,
      xenCreate: never,
      xenSetMachineToPhysical: never,
      xenAddFrames: never,
      xenTakeFrame: never,
      xenTypeOf: never,
      xenReferencesOf: never,
      xenGetFrame: never,
      xenPutFrame: never,
      xenShareFrame: never,
      xenUnshareFrame: never,
      xenMapGranted: never,
      xenMoveFrame: never,
      xenUnmapGranted: never,
      xenPin: never,
      xenSetBase: never,
      xenSetGdtFrame: never,
      xenSetLdt: never,
      xenLand: never,
      xenLoadSegment: never,
      xenReturn: never,
      xenPerform: never,
      xenSettleFault: never,
      xenStart: never,
      xenSetDebugRegister: never,
      xenAgain: never,
      xenHasUpcall: never,
      xenDropTables: never,
      xenRelinquish: never,
      flushPageIn: never,
      shadowPage: never,
      flushDirectory: never,
      knowsDirectory: never,
      activateDirectory: never,
      mapPage: never,
      markEntry: never,
      pinPage: never,
      reflectPageFault: never,
      deliverInterrupt: (_vcpu, vector) => {
        this.delivered.push(vector);
        return this.accepts ? 1 : 0;
      },
      deliverNmi: () => 1,
      vcpuSetModel: () => {},
      vcpuInit: (ptr) => {
        this.initialised.push(ptr);
      },
      vcpuDestroy: () => {},
      updateMode: () => {},
    };
  }
}

/** Retires instructions. */
export function retire(vcpu: VcpuBlock, count: number): void {
  vcpu.setU64(VCPU_RETIRED, vcpu.u64(VCPU_RETIRED) + BigInt(count));
}

/** Runs to the end of the slice. */
export const burn: Step = (vcpu, budget) => {
  retire(vcpu, budget);
  return EXIT_BUDGET;
};

/** Makes a hypercall after `before` instructions. */
export function call(number: number, args: readonly number[] = [], before = 1): Step {
  return (vcpu) => {
    retire(vcpu, before);
    [number, ...args].forEach((value, index) => {
      vcpu.setU32(VCPU_EXIT_ARG + 4 * index, value);
    });
    return EXIT_HYPERCALL;
  };
}

/** Leaves with an exit record. */
export function exit(reason: number, args: readonly number[] = []): Step {
  return (vcpu) => {
    args.forEach((value, index) => {
      vcpu.setU32(VCPU_EXIT_ARG + 4 * index, value);
    });
    return reason;
  };
}

/** Runs to the end of the slice and stands at `eip`. */
export function goTo(eip: number): Step {
  return (vcpu, budget) => {
    vcpu.setU32(VCPU_EIP, eip);
    return burn(vcpu, budget);
  };
}
