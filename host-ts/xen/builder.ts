/**
 * How a Xen PV domain begins: kernel, initial RAM disk, physical-to-machine list, start_info, xenstore and console pages, page tables and a
 * boot stack, one after the other from the kernel's virtual base, all of it mapped; and a processor in ring 1 at the kernel's entry.
 *
 * Source: the layout of Xen's domain builder for 32-bit guests (public xen.h, "Start-of-day memory layout").
 */
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US } from "../../abi/x86.ts";
import {
  HYPERCALL_SLOT_BYTES,
  HYPERVISOR_IRET,
  HYPERVISOR_SLOTS,
  HYPERVISOR_VIRT_START,
  TRAP_HYPERCALL,
} from "../../abi/xen.ts";
import {
  SIF_MOD_START_PFN,
  START_CMD_LINE,
  START_CMD_LINE_BYTES,
  START_CONSOLE_EVTCHN,
  START_CONSOLE_MFN,
  START_FLAGS,
  START_MAGIC,
  START_MAGIC_TEXT,
  START_MFN_LIST,
  START_MOD_LEN,
  START_MOD_START,
  START_NR_PAGES,
  START_NR_PT_FRAMES,
  START_PT_BASE,
  START_SHARED_INFO,
  START_STORE_EVTCHN,
  START_STORE_MFN,
} from "../../abi/xen-layout.ts";
import { ImageError } from "../base/errors.ts";
import type { GuestMemory } from "../base/ports.ts";
import { badField, hex } from "../boot/fields.ts";
import type { KernelImage, XenParameters } from "../boot/kernel.ts";
import { imageRange } from "../boot/xen-notes.ts";

/** What is placed into a new domain. */
export interface Domain {
  readonly image: KernelImage;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string;
}

/** What the builder is told besides. */
export interface BuildSettings {
  /** Machine frame of each pseudo-physical one. */
  readonly p2m: Uint32Array;
  readonly sharedInfoMfn: number;
  readonly storePort: number;
  readonly consolePort: number;
}

/** Where a built domain begins. Addresses ending in Lin are linear. */
export interface StartOfDay {
  readonly entryLin: number;
  readonly stackLin: number;
  readonly startInfoLin: number;
  /** Machine frames. */
  readonly pageTableMfn: number;
  readonly storeMfn: number;
  readonly consoleMfn: number;
}

const L1_BITS = 21;
const L1_REACH = 2 ** L1_BITS;
const ENTRIES = 512;
const ENTRY_BYTES = 8;
const L2_TABLES = 4;
/** The mapped area ends at a multiple of this, with at least so much room behind the stack. */
const END_ALIGNMENT = 4 << 20;
const SLACK_BYTES = 512 << 10;

const L1_FLAGS = PTE_P | PTE_A | PTE_D;
const L2_FLAGS = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

const MOV_EAX = 0xb8;
const PUSH_EAX = 0x50;
const INT = 0xcd;
const RET = 0xc3;
const INT3 = 0xcc;

/**
 * Places a domain in fresh, zeroed memory.
 * @throws ImageError when kernel and initrd do not fit the guest's memory
 */
export function buildDomain(
  memory: GuestMemory,
  domain: Domain,
  settings: BuildSettings,
): StartOfDay {
  const { image, initrd, commandLine } = domain;
  const xen = image.xen!;
  const plan = planLayout(domain, xen, settings.p2m.length);
  const { p2m } = settings;
  const mfnAt = (lin: number) => p2m[(lin - xen.virtBase) >>> PAGE_BITS]!;
  const write = (lin: number, bytes: Uint8Array) => writePages(memory, mfnAt, lin, bytes);

  for (const { gpa, bytes } of image.segments) {
    write(gpa - xen.paddrOffset + xen.virtBase, bytes);
  }
  if (initrd !== undefined) write(plan.ramdisk, initrd);
  const isUnmapped = initrd !== undefined && xen.takesUnmappedRamdisk;
  write(plan.p2m, new Uint8Array(p2m.buffer, p2m.byteOffset, p2m.byteLength));
  if (xen.hypercallPage !== undefined) write(xen.hypercallPage, hypercallPage());
  writePageTables(memory, plan, xen.virtBase, mfnAt);

  const info = new Uint8Array(PAGE_BYTES);
  const view = new DataView(info.buffer);
  const set = (field: number, value: number) => view.setUint32(field, value, true);
  info.set(new TextEncoder().encode(START_MAGIC_TEXT), START_MAGIC);
  set(START_NR_PAGES, p2m.length);
  set(START_SHARED_INFO, settings.sharedInfoMfn * PAGE_BYTES);
  set(START_FLAGS, isUnmapped ? SIF_MOD_START_PFN : 0);
  set(START_STORE_MFN, mfnAt(plan.store));
  set(START_STORE_EVTCHN, settings.storePort);
  set(START_CONSOLE_MFN, mfnAt(plan.console));
  set(START_CONSOLE_EVTCHN, settings.consolePort);
  set(START_PT_BASE, plan.tables);
  set(START_NR_PT_FRAMES, plan.tableFrames);
  set(START_MFN_LIST, plan.p2m);
  const ramdiskPfn = (plan.ramdisk - xen.virtBase) / PAGE_BYTES;
  set(START_MOD_START, initrd === undefined ? 0 : isUnmapped ? ramdiskPfn : plan.ramdisk);
  set(START_MOD_LEN, initrd?.length ?? 0);
  const line = new TextEncoder().encode(commandLine).subarray(0, START_CMD_LINE_BYTES - 1);
  info.set(line, START_CMD_LINE);
  write(plan.startInfo, info);

  return {
    entryLin: xen.entry,
    stackLin: plan.stack + PAGE_BYTES,
    startInfoLin: plan.startInfo,
    pageTableMfn: mfnAt(plan.tables),
    storeMfn: mfnAt(plan.store),
    consoleMfn: mfnAt(plan.console),
  };
}

/** Linear addresses of the parts, all page-aligned, in ascending order. */
interface Layout {
  /** Of a RAM disk that is not mapped: where it would be. */
  readonly ramdisk: number;
  readonly p2m: number;
  readonly startInfo: number;
  readonly store: number;
  readonly console: number;
  readonly tables: number;
  readonly tableFrames: number;
  readonly stack: number;
  /** End of what is mapped. */
  readonly end: number;
}

/** @throws ImageError when the domain has too few pages, or the parts would reach into Xen's area */
function planLayout({ image, initrd }: Domain, xen: XenParameters, pages: number): Layout {
  const { virtBase } = xen;
  if (virtBase % PAGE_BYTES !== 0) {
    throw badField("Xen notes", "XEN_ELFNOTE_VIRT_BASE", hex(virtBase), "a multiple of 4096");
  }
  const imageEnd = roundUp(imageRange(image, xen).end, PAGE_BYTES);
  const ramdiskBytes = roundUp(initrd?.length ?? 0, PAGE_BYTES);
  const p2m = xen.takesUnmappedRamdisk ? imageEnd : imageEnd + ramdiskBytes;
  const startInfo = roundUp(p2m + 4 * pages, PAGE_BYTES);
  const store = startInfo + PAGE_BYTES;
  const console = store + PAGE_BYTES;
  const tables = console + PAGE_BYTES;
  // The tables map themselves, so their number depends on it.
  let tableFrames = 0;
  let end = 0;
  for (let needed = 1 + L2_TABLES; needed > tableFrames; ) {
    tableFrames = needed;
    const stackEnd = tables + (tableFrames + 1) * PAGE_BYTES;
    end = roundUp(stackEnd + SLACK_BYTES, END_ALIGNMENT);
    const l1Tables = Math.ceil(end / L1_REACH) - Math.floor(virtBase / L1_REACH);
    needed = 1 + L2_TABLES + l1Tables;
  }
  const stack = tables + tableFrames * PAGE_BYTES;
  // The one that is not mapped follows what is.
  const ramdisk = xen.takesUnmappedRamdisk ? end : imageEnd;
  const lastEnd = Math.max(stack + PAGE_BYTES, ramdisk + ramdiskBytes);
  const neededBytes = (ramdiskBytes === 0 ? stack + PAGE_BYTES : lastEnd) - virtBase;
  if (neededBytes > pages * PAGE_BYTES) {
    throw new ImageError(
      `kernel: with its RAM disk, tables and stack it takes ${Math.ceil(neededBytes / 2 ** 20)} MiB, ` +
        `and the guest has ${Math.floor((pages * PAGE_BYTES) / 2 ** 20)}; give it more memory`,
      "HV_IMAGE_TOO_LARGE",
    );
  }
  if (end > HYPERVISOR_VIRT_START >>> 0) {
    throw new ImageError(
      `kernel: kernel and RAM disk reach to ${hex(end)}, where Xen's own area has begun`,
      "HV_IMAGE_TOO_LARGE",
    );
  }
  return { ramdisk, p2m, startInfo, store, console, tables, tableFrames, stack, end };
}

/** One L3 table, four L2 tables, then the L1 tables; the tables' own pages are mapped read-only. */
function writePageTables(
  memory: GuestMemory,
  plan: Layout,
  virtBase: number,
  mfnAt: (lin: number) => number,
): void {
  const tableMfn = (index: number) => mfnAt(plan.tables + index * PAGE_BYTES);
  const setEntry = (table: number, slot: number, mfn: number, flags: number) =>
    memory.writeU32(tableMfn(table) * PAGE_BYTES + slot * ENTRY_BYTES, mfn * PAGE_BYTES + flags);
  for (let slot = 0; slot < L2_TABLES; slot++) setEntry(0, slot, tableMfn(1 + slot), PTE_P);
  const firstL1 = 1 + L2_TABLES;
  const base = Math.floor(virtBase / L1_REACH);
  for (let index = 0; firstL1 + index < plan.tableFrames; index++) {
    const slot = base + index;
    const table = 1 + Math.floor(slot / ENTRIES);
    setEntry(table, slot % ENTRIES, tableMfn(firstL1 + index), L2_FLAGS);
  }
  const tablesEnd = plan.tables + plan.tableFrames * PAGE_BYTES;
  for (let lin = virtBase; lin < plan.end; lin += PAGE_BYTES) {
    // A small domain may end before the mapped area does.
    const mfn = mfnAt(lin);
    if (mfn === undefined) break;
    const isTable = lin >= plan.tables && lin < tablesEnd;
    const flags = isTable ? L1_FLAGS : L1_FLAGS | PTE_RW;
    const page = lin / PAGE_BYTES;
    setEntry(firstL1 + Math.floor(page / ENTRIES) - base, page % ENTRIES, mfn, flags);
  }
}

/** The page of stubs through which a kernel makes its calls. */
function hypercallPage(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES).fill(INT3);
  for (let number = 0; number < HYPERVISOR_SLOTS; number++) {
    const call = [MOV_EAX, number, 0, 0, 0, INT, TRAP_HYPERCALL];
    // iret keeps EAX on the stack, and never comes back.
    const stub = number === HYPERVISOR_IRET ? [PUSH_EAX, ...call] : [...call, RET];
    page.set(stub, number * HYPERCALL_SLOT_BYTES);
  }
  return page;
}

function writePages(
  memory: GuestMemory,
  mfnAt: (lin: number) => number,
  lin: number,
  bytes: Uint8Array,
): void {
  for (let done = 0; done < bytes.length; ) {
    const offset = (lin + done) % PAGE_BYTES;
    const chunk = Math.min(PAGE_BYTES - offset, bytes.length - done);
    memory.write(mfnAt(lin + done) * PAGE_BYTES + offset, bytes.subarray(done, done + chunk));
    done += chunk;
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
