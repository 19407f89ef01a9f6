/** Kernels of Xen domains that lie: either an ImageError, or a domain whose every page was written inside of it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  XEN_ELFNOTE_BSD_SYMTAB,
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_VIRT_BASE,
} from "../../abi/xen-layout.ts";
import { ImageError } from "../../host-ts/base/errors.ts";
import { parseXenImage } from "../../host-ts/boot/xen-notes.ts";
import { buildDomain } from "../../host-ts/xen/builder.ts";
import { assignFrames, drawMachineMap } from "../../host-ts/xen/machine-map.ts";
import { buildElf } from "../unit/boot/images.ts";
import { FakeMemory } from "../unit/devices/support.ts";

const PAGES = 1024;
const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const text = (value: string) => new TextEncoder().encode(`${value}\0`);
const note = (type: number, desc: Uint8Array) => ({ name: "Xen", type, desc });
const BASE = 0xc0000000;
const IMAGE = buildElf({
  entry: BASE + 0x1000,
  segments: [{ paddr: 0x1000, bytes: Uint8Array.of(0xf4), memsz: 0x3000 }],
  symbols: [{ name: "start", address: BASE + 0x1000 }],
  notes: [
    note(XEN_ELFNOTE_PAE_MODE, text("yes")),
    note(XEN_ELFNOTE_FEATURES, text("!writable_page_tables|pae_pgdir_above_4gb")),
    note(XEN_ELFNOTE_BSD_SYMTAB, text("yes")),
    note(XEN_ELFNOTE_VIRT_BASE, word(BASE)),
    note(XEN_ELFNOTE_PADDR_OFFSET, word(0)),
    note(XEN_ELFNOTE_ENTRY, word(BASE + 0x1000)),
    note(XEN_ELFNOTE_HYPERCALL_PAGE, word(BASE + 0x2000)),
    note(XEN_ELFNOTE_MOD_START_PFN, word(0)),
  ],
});

const map = drawMachineMap(PAGES);
const p2m = assignFrames(map, 0);

const memory = new FakeMemory(map.limit * 4096);

function buildsSafely(bytes: Uint8Array, initrd?: Uint8Array): boolean {
  try {
    const image = parseXenImage(bytes);
    const domain = { image, initrd, commandLine: "" };
    const settings = { p2m, sharedInfoMfn: map.sharedInfoMfn, storePort: 1, consolePort: 2 };
    const start = buildDomain(memory, domain, settings);
    for (const mfn of [start.pageTableMfn, start.storeMfn, start.consoleMfn]) {
      expect(p2m.includes(mfn)).toBe(true);
    }
    expect(memory.badAccesses).toEqual([]);
    return true;
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return false;
  }
}

test("the image itself makes a domain", () => {
  expect(buildsSafely(IMAGE)).toBe(true);
});

test("cut short anywhere, it is refused by name or still makes a domain", () => {
  for (let length = 0; length < IMAGE.length; length++) buildsSafely(IMAGE.subarray(0, length));
});

test("no overwritten word makes a domain that reaches outside of itself", () => {
  const value = fc.oneof(
    fc.constantFrom(0, 1, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xc0000fff, 0xf5800000),
    fc.constantFrom(0xfffff000, 0xffffffff, 0xc0003fff, 0xc0100000),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  const edits = fc.array(fc.tuple(fc.nat(IMAGE.length - 4), value), { minLength: 1, maxLength: 5 });
  let built = 0;
  fc.assert(
    fc.property(edits, fc.boolean(), (changes, hasDisk) => {
      const copy = IMAGE.slice();
      const view = new DataView(copy.buffer);
      // Words of headers and notes are aligned; half of the edits hit one.
      for (const [at, wordValue] of changes) view.setUint32(at % 2 ? at & ~3 : at, wordValue, true);
      if (buildsSafely(copy, hasDisk ? new Uint8Array(5000) : undefined)) built++;
    }),
    { numRuns: 600 },
  );
  expect(built).toBeGreaterThan(20);
});
