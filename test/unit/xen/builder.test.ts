import { describe, expect, test } from "vitest";
import {
  SIF_MOD_START_PFN,
  START_CMD_LINE,
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
  START_STORE_MFN,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_VIRT_BASE,
} from "../../../abi/xen-layout.ts";
import { parseXenImage } from "../../../host-ts/boot/xen-notes.ts";
import { buildDomain } from "../../../host-ts/xen/builder.ts";
import { assignFrames, drawMachineMap } from "../../../host-ts/xen/machine-map.ts";
import { buildElf } from "../boot/images.ts";
import { FakeMemory } from "../devices/support.ts";

const PAGE = 4096;
const BASE = 0xc0000000;
const PAGES = 2048;
const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

function build({
  seed = 0,
  pages = PAGES,
  initrd = Uint8Array.of(7, 8, 9) as Uint8Array | undefined,
  isUnmapped = false,
} = {}) {
  const map = drawMachineMap(pages);
  const p2m = assignFrames(map, seed);
  const memory = new FakeMemory(map.limit * PAGE);
  const image = parseXenImage(
    buildElf({
      entry: BASE + 0x100000,
      segments: [
        { paddr: 0x100000, vaddr: BASE + 0x100000, bytes: Uint8Array.of(0xaa), memsz: 0x3000 },
      ],
      notes: [
        { name: "Xen", type: XEN_ELFNOTE_VIRT_BASE, desc: word(BASE) },
        { name: "Xen", type: XEN_ELFNOTE_HYPERCALL_PAGE, desc: word(BASE + 0x101000) },
        { name: "Xen", type: XEN_ELFNOTE_PAE_MODE, desc: new TextEncoder().encode("yes\0") },
        { name: "Xen", type: XEN_ELFNOTE_MOD_START_PFN, desc: word(isUnmapped ? 1 : 0) },
      ],
    }),
  );
  const settings = { p2m, sharedInfoMfn: map.sharedInfoMfn, storePort: 1, consolePort: 2 };
  const start = buildDomain(memory, { image, initrd, commandLine: "root=x" }, settings);
  /** Follows the built page tables. */
  const walk = (lin: number) => {
    let table = start.pageTableMfn;
    let entry = 0;
    for (const shift of [30, 21, 12]) {
      const slot = Math.floor(lin / 2 ** shift) % (shift === 30 ? 4 : 512);
      entry = memory.readU32(table * PAGE + 8 * slot);
      if ((entry & 1) === 0) return { mfn: -1, flags: 0 };
      table = entry >>> 12;
    }
    return { mfn: table, flags: entry & 0xfff };
  };
  const u32 = (lin: number) => memory.readU32(walk(lin).mfn * PAGE + (lin % PAGE));
  return {
    map,
    p2m,
    memory,
    start,
    walk,
    u32,
    info: (field: number) => u32(start.startInfoLin + field),
  };
}

describe.each([0, 12345])("a domain with frames in order or scrambled (seed %i)", (seed) => {
  test("every page from the base on is mapped to the frame that the p2m list says, tables read-only", () => {
    const { p2m, walk, u32, info, start } = build({ seed });
    const list = info(START_MFN_LIST);
    const tables = info(START_PT_BASE);
    const tablesEnd = tables + info(START_NR_PT_FRAMES) * PAGE;
    for (let pfn = 0; pfn < 1024; pfn++) {
      const lin = BASE + pfn * PAGE;
      const isTable = lin >= tables && lin < tablesEnd;
      expect([pfn, walk(lin).mfn, walk(lin).flags]).toEqual([pfn, p2m[pfn], isTable ? 0x61 : 0x63]);
      expect(u32(list + 4 * pfn)).toBe(p2m[pfn]);
    }
    expect(walk(tables).mfn).toBe(start.pageTableMfn);
    expect(start.stackLin).toBe(tablesEnd + PAGE);
  });

  test("pseudo-physical and machine frame numbers never agree", () => {
    const { p2m } = build({ seed });
    expect([...p2m].some((mfn, pfn) => seed === 0 && mfn === pfn)).toBe(false);
    expect(new Set(p2m).size).toBe(PAGES);
  });

  test("start_info names what is where, and the parts follow each other", () => {
    const { memory, start, info, walk, u32, map } = build({ seed });
    const at = walk(start.startInfoLin).mfn * PAGE;
    expect(memory.readCString(at + START_MAGIC, 32)).toBe(START_MAGIC_TEXT);
    expect(memory.readCString(at + START_CMD_LINE, 100)).toBe("root=x");
    expect(info(START_NR_PAGES)).toBe(PAGES);
    expect(info(START_SHARED_INFO)).toBe(map.sharedInfoMfn * PAGE);
    expect(info(START_MOD_START)).toBe(BASE + 0x103000);
    expect([info(START_MOD_LEN), u32(info(START_MOD_START))]).toEqual([3, 0x090807]);
    expect(info(START_MFN_LIST)).toBe(BASE + 0x104000);
    expect(start.startInfoLin).toBe(BASE + 0x106000);
    expect(info(START_STORE_MFN)).toBe(walk(start.startInfoLin + PAGE).mfn);
    expect(info(START_CONSOLE_MFN)).toBe(walk(start.startInfoLin + 2 * PAGE).mfn);
    expect(info(START_PT_BASE)).toBe(start.startInfoLin + 3 * PAGE);
  });

  test("kernel and hypercall page are in place: stub 17 calls and returns, the one of iret does not return", () => {
    const { memory, walk } = build({ seed });
    expect(memory.readU8(walk(BASE + 0x100000).mfn * PAGE)).toBe(0xaa);
    const page = walk(BASE + 0x101000).mfn * PAGE;
    expect([...memory.read(page + 17 * 32, 9)]).toEqual([
      0xb8, 17, 0, 0, 0, 0xcd, 0x82, 0xc3, 0xcc,
    ]);
    expect([...memory.read(page + 23 * 32, 9)]).toEqual([
      0x50, 0xb8, 23, 0, 0, 0, 0xcd, 0x82, 0xcc,
    ]);
  });
});

test("the mapped area ends at a multiple of 4 MiB with half a MiB behind the stack", () => {
  const { start, walk } = build();
  const end = BASE + 4 * 2 ** 20;
  expect(end - start.stackLin).toBeGreaterThanOrEqual(512 << 10);
  expect([walk(end - PAGE).mfn >= 0, walk(end).mfn]).toEqual([true, -1]);
});

test("a guest with too little memory is refused with what it takes", () => {
  expect(() => build({ pages: 256 })).toThrow(/takes 2 MiB, and the guest has 1;/);
});

test("a kernel that says so finds its RAM disk by frame number, behind what is mapped", () => {
  const { info, p2m, memory, walk, start } = build({ isUnmapped: true });
  expect(info(START_FLAGS)).toBe(SIF_MOD_START_PFN);
  const pfn = info(START_MOD_START);
  expect([pfn, info(START_MOD_LEN)]).toEqual([1024, 3]);
  expect([...memory.read(p2m[pfn]! * PAGE, 4)]).toEqual([7, 8, 9, 0]);
  expect(walk(BASE + pfn * PAGE).mfn).toBe(-1);
  // Nothing lies between the kernel and the list.
  expect(info(START_MFN_LIST)).toBe(BASE + 0x103000);
  expect(start.startInfoLin).toBe(BASE + 0x105000);
  expect(build().info(START_FLAGS)).toBe(0);
});

test("a RAM disk that does not fit is refused, mapped or not", () => {
  const initrd = new Uint8Array(6 << 20);
  expect(() => build({ initrd })).not.toThrow();
  expect(() => build({ initrd, isUnmapped: true })).toThrow(/takes 10 MiB, and the guest has 8;/);
  expect(() => build({ initrd: new Uint8Array(8 << 20) })).toThrow(/takes 10 MiB/);
});
