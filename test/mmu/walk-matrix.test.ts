/**
 * Every combination of what a page walk depends on, against the model: result, error code, CR2, and the A and D bits that are written.
 * The page under test lies in a directory entry of its own; code, and the tables themselves, are reached through others.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  EXIT_BUDGET,
  EXIT_TRAP,
  PAGING_32,
  PAGING_PAE,
  POLICY_EXIT,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EFER,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_PAGING,
  VCPU_PDPTE,
} from "../../abi/vcpu.ts";
import {
  ATTR_DB,
  ATTR_G,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_NXE,
  EFLAGS_AC,
  EFLAGS_FIXED,
  REG_EAX,
  REG_EBX,
  VECTOR_PF,
} from "../../abi/x86.ts";
import { type Core, instantiateCore } from "../../host-ts/base/core.ts";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import { VcpuBlock } from "../../host-ts/base/vcpu-block.ts";
import { type Access, type Entries, modelWalk, type WalkContext } from "./model.ts";

const PAGE = 0x1000;
/** 16 MiB: a large page of either size has its own. */
const RAM_FRAMES = 0x1000;
const CODE = 0x1000;
const PDPT = 0x2000;
const DIRECTORY = 0x3000;
const CODE_TABLE = 0x4000;
const TABLE = 0x5000;
/** What the page under test maps: 4 KiB, or as part of a large page. */
const TARGET = 0x00800000;
/** Directory entry 2 with 2 MiB pages, entry 1 with 4 MiB pages. */
const LIN = 0x00400000;
const OFFSET = 0x120;
const TARGET_GPA = TARGET + OFFSET;

const P = 1n;
const PS = 0x80n;
const RW = 2n;
const US = 4n;
const NX = 1n << 63n;
/** The lowest and the highest reserved bit of a 4 MiB entry, and of a 2 MiB one. */
const RESERVED_IN_LARGE = (1n << 13n) | (1n << 20n) | (1n << 21n);
const INC_EAX = 0x40;
/** MOV AL, [EBX]; MOV [EBX], AL; VERR AX. */
const INSTRUCTIONS: Record<Exclude<Access, "fetch">, readonly number[]> = {
  read: [0x8a, 0x03],
  write: [0x88, 0x03],
  system: [0x0f, 0x00, 0xe0],
};
const INVLPG_EBX = [0x0f, 0x01, 0x3b];
const INVLPG_AT = CODE + 0x100;
const ACCESSES: readonly Access[] = ["read", "write", "fetch", "system"];
const codeOf = (access: Access): number => CODE + 16 * ACCESSES.indexOf(access);

class WalkMachine {
  readonly core: Core = instantiateCore(loadCoreImage(true));
  readonly vcpu: VcpuBlock;
  readonly #guest: number;
  readonly #host = new Map<number, number>();
  #words: DataView;

  constructor() {
    const verbs = this.core.exports;
    this.#guest = verbs.guestCreate(RAM_FRAMES) >>> 0;
    verbs.guestSetLimits(this.#guest, RAM_FRAMES, RAM_FRAMES, RAM_FRAMES);
    this.vcpu = new VcpuBlock(this.core, verbs.vcpuCreate(this.#guest, POLICY_EXIT) >>> 0);
    for (const gpa of [CODE, PDPT, DIRECTORY, CODE_TABLE, TABLE, TARGET]) {
      this.#host.set(gpa, verbs.frameForWrite(this.#guest, gpa / PAGE) >>> 0);
    }
    this.#words = this.core.words(Math.max(...this.#host.values()) + PAGE);
    for (const access of ["read", "write", "system"] as const) {
      for (const [i, byte] of INSTRUCTIONS[access].entries()) {
        this.#words.setUint8(this.#at(codeOf(access) + i), byte);
      }
    }
    for (const [i, byte] of INVLPG_EBX.entries()) {
      this.#words.setUint8(this.#at(INVLPG_AT + i), byte);
    }
    this.#words.setUint8(this.#at(TARGET_GPA), INC_EAX);
    this.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED);
    this.vcpu.setU32(VCPU_GDTR_BASE, LIN);
    this.vcpu.setU32(VCPU_GDTR_LIMIT, 0xffff);
  }

  #at(gpa: number): number {
    return this.#host.get(gpa & ~(PAGE - 1))! + (gpa & (PAGE - 1));
  }
  #setEntry(pae: boolean, table: number, index: number, entry: bigint): void {
    if (pae) this.#words.setBigUint64(this.#at(table) + 8 * index, entry, true);
    else this.#words.setUint32(this.#at(table) + 4 * index, Number(entry), true);
  }
  #entry(pae: boolean, table: number, index: number): bigint {
    if (pae) return this.#words.getBigUint64(this.#at(table) + 8 * index, true);
    return BigInt(this.#words.getUint32(this.#at(table) + 4 * index, true));
  }

  /** Puts the entries of LIN into the tables, and good ones beside them for the code. */
  setTables(pae: boolean, entries: Entries): void {
    const all = P | RW | US;
    this.#setEntry(pae, DIRECTORY, 0, BigInt(CODE_TABLE) | all);
    this.#setEntry(pae, CODE_TABLE, CODE / PAGE, BigInt(CODE) | all);
    this.#setEntry(pae, DIRECTORY, LIN / (pae ? 0x200000 : 0x400000), entries.pde);
    this.#setEntry(pae, TABLE, 0, entries.pte);
    const pointer = this.vcpu;
    for (let i = 0; i < 8; i++) pointer.setU32(VCPU_PDPTE + 4 * i, 0);
    pointer.setU32(VCPU_PDPTE, Number(entries.pdpte));
    pointer.setU32(VCPU_CR3, pae ? PDPT : DIRECTORY);
  }

  /** @returns what the tables hold for LIN now. */
  tables(pae: boolean): { pde: bigint; pte: bigint } {
    return {
      pde: this.#entry(pae, DIRECTORY, LIN / (pae ? 0x200000 : 0x400000)),
      pte: this.#entry(pae, TABLE, 0),
    };
  }

  /** Executes INVLPG. */
  invalidate(lin: number): void {
    this.vcpu.setU32(VCPU_EIP, INVLPG_AT);
    this.vcpu.setGpr(REG_EBX, lin);
    expect(this.core.exports.run(this.vcpu.ptr, 1)).toBe(EXIT_BUDGET);
  }

  flush(): void {
    this.core.exports.flushPage(this.vcpu.ptr, LIN);
  }

  setContext(context: WalkContext): void {
    const v = this.vcpu;
    const { pae, wp, pse, nxe, cpl, smep, smap, ac } = context;
    v.setU32(VCPU_CR0, (CR0_PE | CR0_PG | (wp ? CR0_WP : 0)) >>> 0);
    const keepers = (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
    v.setU32(VCPU_CR4, (pae ? CR4_PAE : 0) | (pse ? CR4_PSE : 0) | keepers);
    v.setU32(VCPU_EFLAGS, EFLAGS_FIXED | (ac ? EFLAGS_AC : 0));
    v.setU32(VCPU_EFER, nxe ? EFER_NXE : 0);
    v.setU32(VCPU_PAGING, pae ? PAGING_PAE : PAGING_32);
    if (v.u32(VCPU_CPL) === cpl && v.segment(1).selector !== 0) return;
    for (let s = 0; s < 6; s++) {
      const attr = (s === 1 ? 0x9b : 0x93) | (cpl << 5) | ATTR_DB | ATTR_G;
      v.setSegment(s, { selector: (s === 1 ? 8 : 16) | cpl, base: 0, limit: 0xffffffff, attr });
    }
    v.setU32(VCPU_CPL, cpl);
    this.core.exports.updateMode(v.ptr);
  }

  /** Makes one access. @returns the page fault's error code, or undefined when there was none. */
  access(access: Access, lin = LIN + OFFSET): number | undefined {
    const v = this.vcpu;
    const start = access === "fetch" ? lin : codeOf(access);
    v.setU32(VCPU_EIP, start);
    v.setGpr(REG_EAX, INC_EAX);
    v.setGpr(REG_EBX, lin);
    // VERR reads the descriptor at LIN + OFFSET.
    if (access === "system") v.setGpr(REG_EAX, OFFSET);
    const reason = this.core.exports.run(v.ptr, 1);
    if (reason === EXIT_TRAP && v.exitArg(0) === VECTOR_PF) {
      if (v.exitArg(2) >>> 0 !== lin) throw new Error(`CR2 ${v.exitArg(2).toString(16)}`);
      if (v.eip !== start) throw new Error(`fault at ${v.eip.toString(16)}`);
      return v.exitArg(1);
    }
    if (reason !== EXIT_BUDGET) throw new Error(`exit ${reason}, ${v.exitArg(0)}`);
    return undefined;
  }

  /** @returns the guest-physical address the core's own probe gives, or undefined. */
  probe(isWrite: boolean, isUser: boolean): number | undefined {
    const gpa = this.core.exports.walk(this.vcpu.ptr, LIN + OFFSET, +isWrite, +isUser);
    return gpa < 0 ? undefined : gpa;
  }
}

/** Every sum of some of `flags`. */
function subsets(flags: readonly bigint[]): bigint[] {
  const sums = [0n];
  for (const flag of flags) sums.push(...sums.map((sum) => sum | flag));
  return sums;
}

/** What keeps a supervisor off the user's pages. */
const KEEPERS = [
  { smep: false, smap: false, ac: false },
  { smep: true, smap: false, ac: true },
  { smep: false, smap: true, ac: false },
  { smep: false, smap: true, ac: true },
  { smep: true, smap: true, ac: false },
];

function* contexts(pae: boolean): Generator<WalkContext> {
  const both = [false, true];
  for (const wp of both) {
    for (const cpl of [0, 1, 3]) {
      for (const option of both) {
        for (const access of ACCESSES) {
          for (const keepers of KEEPERS) {
            yield { pae, wp, cpl, access, pse: option, nxe: pae && option, ...keepers };
          }
        }
      }
    }
  }
}

const show = (context: WalkContext, entries: Entries) =>
  `${JSON.stringify(context)} pdpte ${entries.pdpte.toString(16)} pde ${entries.pde.toString(16)} pte ${entries.pte.toString(16)}`;

let machine: WalkMachine;
beforeAll(() => {
  machine = new WalkMachine();
});

/** Runs one case. @returns a line when the core and the model differ. */
function compare(context: WalkContext, entries: Entries): string | undefined {
  const want = modelWalk(entries, context);
  // The probe asks what the tables map, not what SMAP thinks of it.
  const isProbed = (context.access === "read" || context.access === "write") && !context.smap;
  machine.setContext(context);
  machine.setTables(context.pae, entries);
  machine.flush();
  if (isProbed) {
    const gpa = machine.probe(context.access === "write", context.cpl === 3);
    const mapped = want.error === undefined ? TARGET_GPA : undefined;
    if (gpa !== mapped) return `probe ${gpa} not ${mapped}: ${show(context, entries)}`;
    const { pde, pte } = machine.tables(context.pae);
    if (pde !== entries.pde || pte !== entries.pte)
      return `probe writes: ${show(context, entries)}`;
  }
  const found = machine.access(context.access);
  const after = machine.tables(context.pae);
  const same = found === want.error && after.pde === want.pde && after.pte === want.pte;
  if (same) return undefined;
  const line = (error: number | undefined, pde: bigint, pte: bigint) =>
    `${error ?? "ok"} pde ${pde.toString(16)} pte ${pte.toString(16)}`;
  return `${line(found, after.pde, after.pte)}, not ${line(want.error, want.pde, want.pte)}: ${show(context, entries)}`;
}

/** Every combination of directory and table entries under every context. */
function matrix(pae: boolean, pdpteBits: bigint[], pdeBits: bigint[], pteBits: bigint[]): string[] {
  const lines: string[] = [];
  for (const context of contexts(pae)) {
    for (const pdpte of pdpteBits) {
      for (const flags of pdeBits) {
        const isLarge = (flags & PS) !== 0n && (pae || context.pse);
        // In the entry of a small page these bits are part of an address.
        if (!isLarge && (flags & RESERVED_IN_LARGE) !== 0n) continue;
        const pde = flags | BigInt(isLarge ? TARGET : TABLE);
        // Under a large page there is no table entry to vary.
        for (const pteFlags of isLarge ? [0n] : pteBits) {
          const line = compare(context, { pdpte, pde, pte: pteFlags | BigInt(TARGET) });
          if (line !== undefined) lines.push(line);
        }
      }
    }
  }
  return lines;
}

describe("every access to a page of", () => {
  it("32-bit tables ends as the manual says, with A and D written as it says", () => {
    const reserved = [1n << 13n, 1n << 21n];
    const lines = matrix(
      false,
      [0n],
      subsets([P, RW, US, PS, 0x20n]).flatMap((flags) =>
        (flags & PS) !== 0n ? [flags, ...reserved.map((bit) => flags | bit)] : [flags],
      ),
      subsets([P, RW, US, 0x20n, 0x40n]),
    );
    expect(lines.slice(0, 10)).toEqual([]);
  });

  it("PAE tables ends as the manual says, with A and D written as it says", () => {
    const high = [1n << 36n, 1n << 52n, 1n << 62n];
    const some = <T>(values: T[], from: number) => values.filter((_, i) => i % 2 === from);
    const pde = subsets([P, RW, US, PS, NX]);
    const pte = subsets([P, RW, US, NX]);
    const lines = [
      ...matrix(true, [BigInt(DIRECTORY) | P], pde, pte),
      ...matrix(true, [BigInt(DIRECTORY)], some(pde, 1), some(pte, 1)),
      // One reserved bit at a time, in either entry.
      ...high.flatMap((bit) => [
        ...matrix(
          true,
          [BigInt(DIRECTORY) | P],
          pde.map((flags) => flags | bit),
          some(pte, 1),
        ),
        ...matrix(
          true,
          [BigInt(DIRECTORY) | P],
          some(pde, 1),
          pte.map((flags) => flags | bit),
        ),
      ]),
      ...[13n, 20n].flatMap((bit) =>
        matrix(
          true,
          [BigInt(DIRECTORY) | P],
          pde.filter((flags) => flags & PS).map((flags) => flags | (1n << bit)),
          [0n],
        ),
      ),
    ];
    expect(lines.slice(0, 10)).toEqual([]);
  });
});

it("a translation in the TLB allows a second access of any kind exactly when a walk would", () => {
  const lines: string[] = [];
  const all = [...contexts(false)].filter(({ wp, pse }) => wp && pse);
  for (const rights of subsets([RW, US])) {
    for (const isLarge of [false, true]) {
      const pde = rights | P | (isLarge ? PS | BigInt(TARGET) : BigInt(TABLE) | RW | US);
      const entries = { pdpte: 0n, pde, pte: rights | P | BigInt(TARGET) };
      for (const first of all) {
        for (const second of all) {
          // Writing CR4 drops translations; writing EFLAGS does not.
          if (first.smep !== second.smep || first.smap !== second.smap) continue;
          const between = modelWalk(entries, first);
          const want = modelWalk({ ...entries, pde: between.pde, pte: between.pte }, second);
          machine.setTables(false, entries);
          machine.flush();
          machine.setContext(first);
          machine.access(first.access);
          machine.setContext(second);
          const found = machine.access(second.access);
          const after = machine.tables(false);
          if (found === want.error && after.pde === want.pde && after.pte === want.pte) continue;
          lines.push(
            `${found} not ${want.error} after ${show(first, entries)}: ${show(second, entries)}`,
          );
        }
      }
    }
  }
  expect(lines.slice(0, 10)).toEqual([]);
});

describe("INVLPG", () => {
  /** A page far from the one that INVLPG names, in the same large page. */
  const FAR = LIN + 0x1ff000;
  it.each([
    ["4 MiB", false],
    ["2 MiB", true],
  ] as const)("anywhere in a page of %s forgets all of it", (_, pae) => {
    const context: WalkContext = {
      pae,
      wp: true,
      pse: true,
      nxe: false,
      cpl: 0,
      access: "read",
      smep: false,
      smap: false,
      ac: false,
    };
    const all = P | RW | US | PS;
    machine.setContext(context);
    machine.setTables(pae, { pdpte: BigInt(DIRECTORY) | P, pde: BigInt(TARGET) | all, pte: 0n });
    machine.flush();
    expect(machine.access("read", FAR)).toBeUndefined();
    // The mapping goes, but not yet the translation.
    machine.setTables(pae, { pdpte: BigInt(DIRECTORY) | P, pde: 0n, pte: 0n });
    expect(machine.access("read", FAR)).toBeUndefined();
    machine.invalidate(LIN + 0x5000);
    expect(machine.access("read", FAR)).toBe(0);
  });
});
