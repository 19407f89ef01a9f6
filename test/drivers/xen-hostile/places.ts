/**
 * Where things are in the domain that hostile calls are made from: 4 MiB, pseudo-physical page p at linear address p << 12 and, at first,
 * machine frame XEN_RAM_MFN + p.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import { XEN_ELFNOTE_PAE_MODE, XEN_ELFNOTE_VIRT_BASE } from "../../../abi/xen-layout.ts";
import { XEN_RAM_MFN } from "../../../abi/xen-memory.ts";
import { drawMachineMap } from "../../../host-ts/xen/machine-map.ts";
import { buildElf } from "../../unit/boot/images.ts";
import type { Code } from "../../unit/protect/assembler.ts";

export const RAM_FRAMES = 1024;
export const MAP = drawMachineMap(RAM_FRAMES);

/** Words that calls point at, and lists; each call of a multicall has AREA_BYTES of it. */
export const DATA = 0x80000;
export const AREA_BYTES = 0x200;
/** Entries of a multicall. */
export const CALLS = 0x84000;
/** Tops of stacks. */
export const KERNEL_STACK = 0x88000;
export const USER_STACK = 0x8a000;
/** A context for VCPUOP_initialise. */
export const CONTEXT = 0x8c000;
/** Nothing is mapped here, and it may be. */
export const HOLE = 0x600000;
/** Xen's own area. */
export const XEN_AREA = 0xf5800000;
/** Pages that the calls are about, mapped writable at first. */
export const FIRST_FREE = 0x200;
export const FREE_PAGES = 12;

/** Code of the kernel: pieces that end where they stay, and one address at which everything else stays. */
export const KERNEL = 0x100000;
const KERNEL_BYTES = 0x1000;
/** Pieces for ring 3 are a page further. */
export const USER_OFFSET = 0x1000;
const STAY: Code = [0xeb, 0xfe];
const PIECE_BYTES = 32;

/** What is executed with the registers of a step, before it stays. */
export const PIECES: readonly (readonly [string, Code])[] = [
  ["int 0x82", [0xcd, 0x82]],
  ["mov [ebx], ecx", [0x89, 0x0b]],
  ["mov ecx, [ebx]", [0x8b, 0x0b]],
  ["mov [ebx], cl", [0x88, 0x0b]],
  ["lock cmpxchg8b [ebx]", [0xf0, 0x0f, 0xc7, 0x0b]],
  ["xchg [ebx], ecx", [0x87, 0x0b]],
  ["lock add [ebx], ecx", [0xf0, 0x01, 0x0b]],
  ["rep movsd", [0xf3, 0xa5]],
  ["rep stosd", [0xf3, 0xab]],
  ["push ebx; pop [ecx]", [0x53, 0x8f, 0x01]],
  ["mov fs, ecx", [0x8e, 0xe1]],
  ["mov ds, ecx", [0x8e, 0xd9]],
  ["mov ss, ecx", [0x8e, 0xd1]],
  ["iretd", [0xcf]],
  ["popfd", [0x9d]],
  ["jmp far [ebx]", [0xff, 0x2b]],
  ["call far [ebx]", [0xff, 0x1b]],
  ["jmp ebx", [0xff, 0xe3]],
  ["int 0x80", [0xcd, 0x80]],
  ["int3", [0xcc]],
  ["ud2", [0x0f, 0x0b]],
  ["mov cr0, ecx", [0x0f, 0x22, 0xc1]],
  ["mov cr3, ecx", [0x0f, 0x22, 0xd9]],
  ["mov cr4, ecx", [0x0f, 0x22, 0xe1]],
  ["mov ecx, cr3", [0x0f, 0x20, 0xd9]],
  ["mov dr7, ecx", [0x0f, 0x23, 0xf9]],
  ["clts", [0x0f, 0x06]],
  ["invlpg [ebx]", [0x0f, 0x01, 0x3b]],
  ["lgdt [ebx]", [0x0f, 0x01, 0x13]],
  ["lldt cx", [0x0f, 0x00, 0xd1]],
  ["cpuid", [0x0f, 0xa2]],
  ["wrmsr", [0x0f, 0x30]],
  ["rdmsr", [0x0f, 0x32]],
  ["out dx, eax", [0xef]],
  ["cli", [0xfa]],
  ["hlt", [0xf4]],
  ["sysenter", [0x0f, 0x34]],
  ["fxrstor [ebx]", [0x0f, 0xae, 0x0b]],
];

/** Address of piece `index` in ring 1. */
export function pieceAt(index: number): number {
  return KERNEL + 0x400 + index * PIECE_BYTES;
}
/** All handlers of traps, events and failures are this. */
export const HANDLER = KERNEL + 0x20;

/** Whether nothing more happens at `eip`. */
export function isStaying(eip: number): boolean {
  const off = (eip & ~USER_OFFSET) - KERNEL;
  return off >= 0 && off < KERNEL_BYTES && stays.has(off);
}
/** How many there are. */
export const CODE_COUNT = PIECES.length;
const stays = new Set([0x20, ...PIECES.map(([, code], i) => pieceAt(i) - KERNEL + code.length)]);

function page(): Uint8Array {
  const bytes = new Uint8Array(KERNEL_BYTES);
  bytes.set(STAY, 0x20);
  for (const [index, [, code]] of PIECES.entries()) {
    bytes.set([...code, ...STAY], pieceAt(index) - KERNEL);
  }
  return bytes;
}

/** The kernel. */
export const KERNEL_IMAGE = buildElf({
  entry: HANDLER,
  segments: [
    { paddr: KERNEL, bytes: Uint8Array.of(...page(), ...page()), memsz: 2 * KERNEL_BYTES },
  ],
  notes: [
    { name: "Xen", type: XEN_ELFNOTE_VIRT_BASE, desc: new Uint8Array(4) },
    { name: "Xen", type: XEN_ELFNOTE_PAE_MODE, desc: new TextEncoder().encode("yes\0") },
  ],
});

/** Where the builder has put its pages behind the kernel. */
const P2M = KERNEL + 2 * KERNEL_BYTES;
export const START_INFO = P2M + 4 * RAM_FRAMES;
export const STORE_PAGE = (START_INFO >>> 12) + 1;
export const CONSOLE_PAGE = STORE_PAGE + 1;
export const L3_PAGE = CONSOLE_PAGE + 1;
export const L2_PAGES = [1, 2, 3, 4].map((i) => L3_PAGE + i);
export const L1_PAGES = [5, 6].map((i) => L3_PAGE + i);

export function mfnOf(pfn: number): number {
  return XEN_RAM_MFN + pfn;
}
/** Machine address of an entry. */
export function entryAt(pfn: number, slot: number): number {
  return mfnOf(pfn) * PAGE_BYTES + 8 * slot;
}
