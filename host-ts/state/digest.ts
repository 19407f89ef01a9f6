/**
 * The digest of a guest's state: what the architecture, the personality and the devices define, and nothing of how we run it.
 * Host pointers, thread-owned words, lazy-flag encodings and untouched-versus-zero pages make no difference.
 */

import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  POLICY_XEN,
  VCPU_BOUNCE,
  VCPU_CR0,
  VCPU_EVENT,
  VCPU_FCW,
  VCPU_FERR,
  VCPU_GPR,
  VCPU_HELD_GDT,
  VCPU_HELD_GDT_COUNT,
  VCPU_HELD_IDT,
  VCPU_MISC_ENABLE,
  VCPU_MMIO_VALUES,
  VCPU_NMI,
  VCPU_POLICY,
  VCPU_RETIRED,
  VCPU_SEGS,
  VCPU_SHADOW,
  VCPU_SIZE,
  VCPU_WANT_WINDOW,
  VCPU_XEN_CALL,
  VCPU_XEN_INFO,
  VCPU_XEN_LEAVING_CALLS,
  VCPU_XEN_MC_ENTRY,
  VCPU_ZERO,
} from "../../abi/vcpu.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { Machine } from "../guest/machine.ts";

/** [from, to) byte ranges of the vCPU block that are state; EIP, EFLAGS and CPL are added in decoded form. */
const BLOCK_RANGES: readonly (readonly [number, number])[] = [
  [VCPU_GPR, VCPU_ZERO],
  [VCPU_RETIRED, VCPU_RETIRED + 8],
  [VCPU_SEGS, VCPU_CR0],
  [VCPU_CR0, VCPU_EVENT],
  [VCPU_SHADOW, VCPU_WANT_WINDOW],
  [VCPU_NMI, VCPU_NMI + 4],
  [VCPU_MISC_ENABLE, VCPU_FERR + 4],
  [VCPU_FCW, VCPU_HELD_GDT_COUNT],
  [VCPU_HELD_GDT_COUNT, VCPU_BOUNCE],
  [VCPU_HELD_GDT, VCPU_MMIO_VALUES],
  [VCPU_HELD_IDT, VCPU_SIZE],
];

/** For a Xen guest: what lies where others have the queue of device accesses, without the call being performed and how calls are sent. */
const XEN_RANGES: typeof BLOCK_RANGES = [
  [VCPU_XEN_INFO, VCPU_XEN_CALL],
  [VCPU_XEN_MC_ENTRY, VCPU_XEN_LEAVING_CALLS],
];

/** 32 hexadecimal digits; equal states give equal digests. Costs one pass over the touched memory. */
export function digestState(machine: Machine): string {
  const lanes = new Lanes();
  for (const vcpu of machine.vcpus) addVcpu(lanes, machine, vcpu);
  addMemory(lanes, machine);
  addRecords(lanes, machine);
  return lanes.toString();
}

function addVcpu(lanes: Lanes, { core }: Machine, vcpu: VcpuBlock): void {
  const block = core.bytes(vcpu.ptr + VCPU_SIZE).slice(vcpu.ptr, vcpu.ptr + VCPU_SIZE);
  const isXen = vcpu.u32(VCPU_POLICY) === POLICY_XEN;
  const ranges = isXen ? [...BLOCK_RANGES, ...XEN_RANGES] : BLOCK_RANGES;
  for (const [from, to] of ranges) lanes.addWords(block.slice(from, to));
  const { eip, eflags, cpl } = vcpu.registers();
  for (const word of [eip, eflags, cpl]) lanes.add(word);
}

/** Pages that hold only zeroes are left out, so that touching a page is no change. */
function addMemory(lanes: Lanes, { memory }: Machine): void {
  const page = new Uint8Array(PAGE_BYTES);
  const words = new Uint32Array(page.buffer);
  for (let gpa = 0; gpa < memory.limitBytes; gpa += PAGE_BYTES) {
    memory.readInto(gpa, page);
    if (words.every((word) => word === 0)) continue;
    lanes.add(gpa);
    for (const word of words) lanes.add(word);
  }
}

/** What is in neither: turns, timers, ring cursors, negotiated features, waiting input, the state of generators. */
function addRecords(lanes: Lanes, { turn, timers, personality }: Machine): void {
  const text = canonicalText({ turn, timers: timers.save(), personality: personality.save() });
  for (const byte of new TextEncoder().encode(text)) lanes.add(byte);
}

/** JSON with the keys of every record in alphabetical order: equal records give equal text. */
export function canonicalText(record: unknown): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

/** Four 32-bit lanes of multiply-and-rotate mixing; not cryptographic. Words are taken as the platform orders them: little-endian. */
class Lanes {
  #a = 0x243f6a88;
  #b = 0x85a308d3 | 0;
  #c = 0x13198a2e;
  #d = 0x03707344;

  add(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x9e3779b1);
    this.#b = Math.imul(this.#b ^ (word + this.#a), 0x85ebca6b);
    this.#c = (Math.imul(this.#c, 5) + (this.#b ^ (this.#a >>> 15))) | 0;
    this.#d = Math.imul(this.#d ^ (this.#c >>> 13), 0xc2b2ae35) + word;
    this.#d |= 0;
  }

  addWords(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; at += 4) this.add(view.getUint32(at, true));
  }

  toString(): string {
    return [this.#a, this.#b, this.#c, this.#d]
      .map((lane) => (lane >>> 0).toString(16).padStart(8, "0"))
      .join("");
  }
}
