/**
 * How long each vCPU was running, ready, blocked or offline, and the copy of it that a guest may have asked for.
 * Source: Xen's public vcpu.h, "struct vcpu_runstate_info". Times are guest nanoseconds.
 */
import { RUNSTATE_RUNNING } from "../../abi/xen.ts";
import {
  RS_STATE,
  RS_STATE_ENTRY_TIME,
  RS_TIME,
  RUNSTATE_INFO_BYTES,
} from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";

interface Runstate {
  state: number;
  sinceNs: number;
  /** By RUNSTATE_*, without the time since `sinceNs`. */
  timesNs: number[];
  /** Machine addresses of the pages of the guest's copy, and the offset in the first; undefined without one. */
  area: { gpas: number[]; offset: number } | undefined;
}

/** The runstates of one domain. */
export class Runstates {
  readonly #host: PersonalityHost;
  #states: Runstate[];

  constructor(host: PersonalityHost) {
    this.#host = host;
    this.#states = host.vcpus.map(() => ({
      state: RUNSTATE_RUNNING,
      sinceNs: 0,
      timesNs: [0, 0, 0, 0],
      area: undefined,
    }));
  }

  /** A vCPU is in RUNSTATE_* from now on. */
  enter(vcpu: VcpuBlock, state: number): void {
    const record = this.#states[vcpu.id]!;
    if (record.state === state) return;
    const { nowNs } = this.#host.clock;
    record.timesNs[record.state]! += nowNs - record.sinceNs;
    record.state = state;
    record.sinceNs = nowNs;
    this.#publish(record);
  }

  /** The guest wants a copy kept at this place, given as the machine addresses of its bytes' pages. */
  setArea(vcpu: VcpuBlock, gpas: number[], offset: number): void {
    const record = this.#states[vcpu.id]!;
    record.area = { gpas, offset };
    this.#publish(record);
  }

  /** struct vcpu_runstate_info as of now. */
  info(vcpu: VcpuBlock): Uint8Array {
    return encode(this.#states[vcpu.id]!, this.#host.clock.nowNs);
  }

  save(): Record<string, unknown> {
    return { states: structuredClone(this.#states) };
  }

  restore(state: Record<string, unknown>): void {
    this.#states = structuredClone(state.states as Runstate[]);
  }

  #publish(record: Runstate): void {
    const { area } = record;
    if (area === undefined) return;
    const bytes = encode(record, record.sinceNs);
    const first = Math.min(bytes.length, 4096 - area.offset);
    this.#host.memory.write(area.gpas[0]!, bytes.subarray(0, first));
    if (first < bytes.length) this.#host.memory.write(area.gpas[1]!, bytes.subarray(first));
  }
}

function encode(record: Runstate, nowNs: number): Uint8Array {
  const bytes = new Uint8Array(RUNSTATE_INFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(RS_STATE, record.state, true);
  view.setBigUint64(RS_STATE_ENTRY_TIME, BigInt(record.sinceNs), true);
  for (const [state, ns] of record.timesNs.entries()) {
    const running = state === record.state ? nowNs - record.sinceNs : 0;
    view.setBigUint64(RS_TIME + 8 * state, BigInt(ns + running), true);
  }
  return bytes;
}
