/** The calls that load descriptors and gates, performed by the Host on the classic path: words of the vCPU block, with lguest's fix-ups. */

import {
  LGUEST_GATE_HIGH_MASK,
  LGUEST_GDT_ENTRIES,
  LGUEST_GDT_IGNORED,
  LGUEST_IDT_IGNORED,
  LGUEST_KERNEL_CPL,
  LGUEST_TLS_ENTRIES,
  LGUEST_TLS_FIRST,
} from "../../abi/lguest.ts";
import {
  HELD_GATE_BYTES,
  HELD_GATE_PRESENT,
  KILL_BAD_GDT_INDEX,
  KILL_BAD_IDT_TYPE,
  KILL_BAD_IDT_VECTOR,
  VCPU_HELD_GDT,
  VCPU_HELD_IDT,
} from "../../abi/vcpu.ts";
import {
  DESC_ACCESSED_HIGH,
  DESC_DPL_HIGH,
  DESC_DPL_HIGH_SHIFT,
  SYSDESC_INT_GATE32,
  SYSDESC_TRAP_GATE32,
  VECTOR_NMI,
} from "../../abi/x86.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { coreDeathText } from "./kill-reasons.ts";

const DESCRIPTOR_BYTES = 8;
const VECTOR_MAX = 255;

/** LOAD_GDT_ENTRY. */
export function loadGdtEntry(
  host: PersonalityHost,
  index: number,
  low: number,
  high: number,
): void {
  if (index >= LGUEST_GDT_ENTRIES) host.kill(coreDeathText(KILL_BAD_GDT_INDEX, [index]));
  else setDescriptor(host, index, low, high);
}

/** LOAD_TLS: three descriptors of the running thread. */
export function loadTls(host: PersonalityHost, gpa: number): void {
  const { memory } = host;
  const words = new Uint32Array(2 * LGUEST_TLS_ENTRIES);
  memory.readInto(gpa, new Uint8Array(words.buffer));
  if (host.isDead) return;
  for (let entry = 0; entry < LGUEST_TLS_ENTRIES; entry++) {
    setDescriptor(host, LGUEST_TLS_FIRST + entry, words[2 * entry]!, words[2 * entry + 1]!);
  }
}

/** No ring 0, and always accessed. Some entries are the Host's own. */
function setDescriptor({ vcpu }: PersonalityHost, index: number, low: number, high: number): void {
  if (((LGUEST_GDT_IGNORED >>> index) & 1) !== 0) return;
  const at = VCPU_HELD_GDT + DESCRIPTOR_BYTES * index;
  const ring = (high & DESC_DPL_HIGH) === 0 ? LGUEST_KERNEL_CPL << DESC_DPL_HIGH_SHIFT : 0;
  vcpu.setU32(at, low);
  vcpu.setU32(at + 4, high | DESC_ACCESSED_HIGH | ring);
}

/** LOAD_IDT_ENTRY. Vectors that the Host keeps are ignored before anything is checked. */
export function loadIdtEntry(
  host: PersonalityHost,
  vector: number,
  low: number,
  high: number,
): void {
  if (vector < 32 && ((LGUEST_IDT_IGNORED >>> vector) & 1) !== 0) return;
  if (vector > VECTOR_MAX) {
    host.kill(coreDeathText(KILL_BAD_IDT_VECTOR, [vector]));
    return;
  }
  const at = VCPU_HELD_IDT + HELD_GATE_BYTES * vector;
  const type = (high >>> 8) & 15;
  const isUsable = type === SYSDESC_INT_GATE32 || type === SYSDESC_TRAP_GATE32;
  const isSet = (high & HELD_GATE_PRESENT) !== 0;
  // The original took no gate for NMIs and looked at none of them: one that cannot be used is none.
  const isPresent = isSet && (isUsable || vector !== VECTOR_NMI);
  if (isPresent && !isUsable) {
    host.kill(coreDeathText(KILL_BAD_IDT_TYPE, [type]));
    return;
  }
  host.vcpu.setU32(at, isPresent ? low : 0);
  host.vcpu.setU32(at + 4, isPresent ? high & LGUEST_GATE_HIGH_MASK : 0);
}
