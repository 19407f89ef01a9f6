/**
 * A page walk written from the manual, for one page whose entries the caller holds as numbers: an independent check of core-as/mmu.
 * Source: SDM 3A, "32-Bit Paging", "PAE Paging", "Access Rights", "Page-Fault Exceptions", "Accessed and Dirty Flags".
 */

export type Access = "read" | "write" | "fetch" | "system";

/** The processor state that a walk depends on. */
export interface WalkContext {
  readonly pae: boolean;
  readonly wp: boolean;
  readonly pse: boolean;
  readonly nxe: boolean;
  readonly cpl: number;
  readonly access: Access;
  /** CR4.SMEP, CR4.SMAP and EFLAGS.AC. */
  readonly smep: boolean;
  readonly smap: boolean;
  readonly ac: boolean;
}

/** Entries from the top, as the tables hold them; `pdpte` in PAE mode only. */
export interface Entries {
  readonly pdpte: bigint;
  readonly pde: bigint;
  readonly pte: bigint;
}

export interface WalkResult {
  /** Error code of the page fault, or undefined when the access is allowed. */
  readonly error: number | undefined;
  /** Whether the page is a large one: 2 or 4 MiB. */
  readonly isLarge: boolean;
  readonly pde: bigint;
  readonly pte: bigint;
}

const P = 1n;
const RW = 1n << 1n;
const US = 1n << 2n;
const A = 1n << 5n;
const D = 1n << 6n;
const PS = 1n << 7n;
const NX = 1n << 63n;

/** Bits first to last, both included. */
const bits = (first: number, last: number): bigint =>
  ((1n << BigInt(last - first + 1)) - 1n) << BigInt(first);

/** Physical-address width that CPUID announces. */
const MAX_PHYSICAL = 36;

/** @returns what the processor does with an access to the page that these entries map. */
export function modelWalk(entries: Entries, context: WalkContext): WalkResult {
  const { pae, wp, pse, nxe, cpl, access, smep, smap, ac } = context;
  // Accesses to descriptor tables and the like are the supervisor's, whoever causes them.
  const isUser = cpl === 3 && access !== "system";
  let { pde, pte } = entries;
  const code = (cause: number): number =>
    cause |
    (access === "write" ? 2 : 0) |
    (isUser ? 4 : 0) |
    (access === "fetch" && ((pae && nxe) || smep) ? 16 : 0);
  const fault = (cause: number, isLarge = false): WalkResult => ({
    error: code(cause),
    isLarge,
    pde,
    pte,
  });
  const NOT_PRESENT = 0;
  const RIGHTS = 1;
  const RESERVED = 1 | 8;

  if (pae && !(entries.pdpte & P)) return fault(NOT_PRESENT);
  if (!(pde & P)) return fault(NOT_PRESENT);
  const isLarge = (pde & PS) !== 0n && (pae || pse);
  const high = pae ? bits(MAX_PHYSICAL, 62) | (nxe ? 0n : NX) : 0n;
  // Without PSE-36 a 4 MiB entry reserves everything between PAT and the address.
  const inLarge = pae ? bits(13, 20) : bits(13, 21);
  if (pde & (high | (isLarge ? inLarge : 0n))) return fault(RESERVED, isLarge);
  const path = [pde];
  if (!isLarge) {
    if (!(pte & P)) return fault(NOT_PRESENT);
    if (pte & high) return fault(RESERVED);
    path.push(pte);
  }

  const every = (bit: bigint) => path.every((entry) => (entry & bit) !== 0n);
  let allowed = !isUser || every(US);
  if (access === "write" && !every(RW) && (isUser || wp)) allowed = false;
  if (access === "fetch" && pae && path.some((entry) => (entry & NX) !== 0n)) allowed = false;
  if (!isUser && every(US)) {
    if (access === "fetch" && smep) allowed = false;
    // AC is for what a program asks for, not for what the processor does by itself.
    if (access !== "fetch" && smap && !(ac && access !== "system")) allowed = false;
  }
  if (!allowed) return fault(RIGHTS, isLarge);
  const done = access === "write" ? A | D : A;
  // A directory entry is accessed once the whole walk is good.
  pde |= isLarge ? done : A;
  if (!isLarge) pte |= done;
  return { error: undefined, isLarge, pde, pte };
}
