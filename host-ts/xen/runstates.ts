/**
 * How long each vCPU was running, ready, blocked or offline, and the copy of it that a guest may have asked for.
 * Source: Xen's public vcpu.h, "struct vcpu_runstate_info". Times are guest nanoseconds.
 */
import {
  RUNSTATE_BLOCKED,
  RUNSTATE_OFFLINE,
  RUNSTATE_RUNNABLE,
  RUNSTATE_RUNNING,
} from "../../abi/xen.ts";
import {
  RS_STATE,
  RS_STATE_ENTRY_TIME,
  RS_TIME,
  RUNSTATE_INFO_BYTES,
} from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { GuestPointers } from "./pointers.ts";
import type { Vcpus } from "./vcpus.ts";

const STATES = 4;
const TWO_32 = 2 ** 32;

/** What runstates need of a domain. */
export interface RunstateDomain {
  readonly host: PersonalityHost;
  readonly vcpus: Vcpus;
  readonly pointers: GuestPointers;
}

interface Runstate {
  state: number;
  sinceNs: number;
  /** By RUNSTATE_*, without the time since `sinceNs`. */
  timesNs: number[];
  /** Linear address of the guest's copy, under the tables that its vCPU has by then; undefined without one. */
  lin: number | undefined;
}

/** The runstates of one domain. */
export class Runstates {
  readonly #domain: RunstateDomain;
  #records: Runstate[];

  constructor(domain: RunstateDomain) {
    this.#domain = domain;
    this.#records = domain.host.vcpus.map((vcpu) => ({
      state: domain.vcpus.isUp(vcpu) ? RUNSTATE_RUNNING : RUNSTATE_OFFLINE,
      sinceNs: 0,
      timesNs: new Array(STATES).fill(0),
      lin: undefined,
    }));
  }

  /** After whatever may have changed what a vCPU does: it came up, waits, goes on, has its turn or lost it. */
  update(vcpu: VcpuBlock): void {
    const record = this.#records[vcpu.id]!;
    const state = this.#stateOf(vcpu);
    if (record.state === state) return;
    const { nowNs } = this.#domain.host.clock;
    record.timesNs[record.state]! += nowNs - record.sinceNs;
    record.state = state;
    record.sinceNs = nowNs;
    const { vcpus, pointers } = this.#domain;
    // What cannot be written now is written at the next change.
    if (record.lin === undefined || !vcpus.isInitialised(vcpu)) return;
    pointers.writeFor(vcpu, record.lin, encode(record, nowNs));
  }

  /** The guest wants a copy kept at this address, for whose bytes the vCPU that asks has tables; the first one is made now. */
  setArea(vcpu: VcpuBlock, lin: number): void {
    const record = this.#records[vcpu.id]!;
    record.lin = lin;
    this.#domain.pointers.write(lin, this.info(vcpu));
  }

  /** struct vcpu_runstate_info as of now. */
  info(vcpu: VcpuBlock): Uint8Array {
    return encode(this.#records[vcpu.id]!, this.#domain.host.clock.nowNs);
  }

  save(): Record<string, unknown> {
    return { records: structuredClone(this.#records) };
  }

  restore(state: Record<string, unknown>): void {
    this.#records = structuredClone(state.records as Runstate[]);
  }

  #stateOf(vcpu: VcpuBlock): number {
    const { host, vcpus } = this.#domain;
    if (vcpus.isBlocked(vcpu)) return RUNSTATE_BLOCKED;
    if (!vcpus.isUp(vcpu)) return RUNSTATE_OFFLINE;
    return vcpu.id === host.vcpu.id ? RUNSTATE_RUNNING : RUNSTATE_RUNNABLE;
  }
}

function encode(record: Runstate, nowNs: number): Uint8Array {
  const bytes = new Uint8Array(RUNSTATE_INFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(RS_STATE, record.state, true);
  setU64(view, RS_STATE_ENTRY_TIME, record.sinceNs);
  for (let state = 0; state < STATES; state++) {
    const current = state === record.state ? nowNs - record.sinceNs : 0;
    setU64(view, RS_TIME + 8 * state, record.timesNs[state]! + current);
  }
  return bytes;
}

/** Written at every change of turns, so without a BigInt. */
function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}
