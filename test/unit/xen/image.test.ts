import { describe, expect, test } from "vitest";
import { E820_MAX_ENTRIES } from "../../../abi/xen.ts";
import { E820_BYTES, VGC_BYTES } from "../../../abi/xen-layout.ts";
import { PGT_L1, PGT_L2, PGT_L3, PGT_NONE } from "../../../abi/xen-memory.ts";
import { crc32 } from "../../../host-ts/boot/checksums.ts";
import {
  aboutImage,
  type DomainImage,
  decodeImage,
  EXTRA_BYTES,
  encodeImage,
} from "../../../host-ts/xen/image/format.ts";
import { packImage, unpackImage } from "../../../host-ts/xen/image/packing.ts";
import { guestSlots, renameFrames } from "../../../host-ts/xen/image/page-tables.ts";

const PAGE = 4096;
const page = (seed: number) => Uint8Array.from({ length: PAGE }, (_, i) => (i * seed) >> 3);

/** A domain of nothing in particular. */
function imageOf(changes: Partial<DomainImage> = {}, about: object = {}): DomainImage {
  return {
    about: {
      name: "g",
      cpu: "pentium4",
      vcpus: 2,
      memoryBytes: 8 << 20,
      pfns: 2048,
      caller: 0,
      systemTimeNs: 12_345,
      startTimeMs: 1_767_225_600_000,
      disks: 1,
      networkCards: 0,
      ...about,
    },
    pages: [
      { pfn: 3, type: PGT_NONE, isPinned: false, bytes: page(3) },
      { pfn: 4, type: PGT_NONE, isPinned: false, bytes: undefined },
      { pfn: 9, type: PGT_L3, isPinned: true, bytes: page(5) },
      { pfn: 2047, type: PGT_L1, isPinned: false, bytes: page(7) },
    ],
    p2mPfns: [3, 4],
    consoleInput: Uint8Array.of(0x6c, 0x73, 0x0a),
    memoryMap: new Uint8Array(2 * E820_BYTES).fill(1),
    sharedInfo: page(11),
    vcpus: [
      { id: 0, context: new Uint8Array(VGC_BYTES).fill(1), extra: new Uint8Array(EXTRA_BYTES) },
      { id: 1, context: new Uint8Array(VGC_BYTES).fill(2), extra: new Uint8Array(EXTRA_BYTES) },
    ],
    ...changes,
  };
}

const refusal = (bytes: Uint8Array): string => {
  try {
    decodeImage(bytes);
  } catch (error) {
    expect((error as { code: string }).code).toBe("HV_SNAPSHOT");
    return (error as Error).message;
  }
  return "";
};

describe("the image of a domain", () => {
  test("comes back as it was, packed or not, and tells of itself without the rest", async () => {
    const image = imageOf();
    const bytes = encodeImage(image);
    expect(decodeImage(bytes)).toEqual(image);
    expect(decodeImage(await unpackImage(await packImage(bytes)))).toEqual(image);
    expect(aboutImage(bytes)).toEqual(image.about);
  });

  test("leaves pages of zeros out", () => {
    const [full, zero] = [page(3), undefined].map((bytes) => {
      const one = { pfn: 3, type: PGT_NONE, isPinned: false, bytes };
      return encodeImage(imageOf({ pages: [one] })).length;
    });
    expect(full! - zero!).toBe(PAGE);
  });

  test("cut short anywhere is refused as that, and so is one with something behind it", () => {
    const bytes = encodeImage(imageOf());
    for (const length of [8, 15, 16, 20, 300, PAGE, bytes.length - 9, bytes.length - 1]) {
      expect(refusal(bytes.subarray(0, length))).toMatch(/it ends early$/);
    }
    expect(refusal(bytes.subarray(0, 7))).toMatch(/it does not begin as one$/);
    expect(refusal(Uint8Array.of(...bytes, 0))).toMatch(/something follows its end$/);
  });

  test("of another program, another version, or damaged is refused as that", async () => {
    const bytes = encodeImage(imageOf());
    const changed = (at: number, value: number) => {
      const copy = bytes.slice();
      copy[at] = value;
      return copy;
    };
    expect(refusal(new TextEncoder().encode("LibxenFmt and so on"))).toMatch(/begin as one$/);
    expect(refusal(changed(8, 2))).toMatch(/it is of version 2, and this program reads version 1$/);
    expect(refusal(changed(bytes.length - PAGE, 0x55))).toMatch(/its checksum is wrong/);
    const packed = await packImage(bytes);
    packed[packed.length >> 1]! ^= 0x10;
    await expect(unpackImage(packed)).rejects.toMatchObject({ code: "HV_SNAPSHOT" });
  });

  test("that contradicts itself is refused with what it says", () => {
    const data = (pfn: number) => ({ pfn, type: PGT_NONE, isPinned: false, bytes: undefined });
    const many = Array.from({ length: 300 }, (_, pfn) => data(pfn));
    const vcpu = imageOf().vcpus[0]!;
    const cases: [Partial<DomainImage>, object, RegExp][] = [
      [{ pages: [data(5), data(5)] }, {}, /page 5 stands where none can/],
      [{ pages: [data(5), data(4)] }, {}, /page 4 stands where none can/],
      [{ pages: [data(2048)] }, {}, /page 2048 stands where none can/],
      [{ pages: [{ ...data(1), type: 5 }] }, {}, /page 1 is of a kind that there is not/],
      [{ pages: [{ ...data(1), isPinned: true }] }, {}, /page 1 is of a kind that there is not/],
      [{ memoryMap: new Uint8Array(19) }, {}, /map of memory has a length that none has/],
      [
        { memoryMap: new Uint8Array((E820_MAX_ENTRIES + 1) * E820_BYTES) },
        {},
        /map of memory has a length that none has/,
      ],
      [{ pages: many }, { memoryBytes: 1 << 20 }, /more pages than memory/],
      [{ p2mPfns: [1] }, {}, /list of machine frames has another length/],
      [{ p2mPfns: [1, 2048] }, {}, /list of machine frames has a part in page 2048/],
      [{ sharedInfo: new Uint8Array(8) }, {}, /shared_info is no page/],
      [{ vcpus: [vcpu, vcpu] }, {}, /vCPUs have numbers/],
      [{ vcpus: [{ ...vcpu, id: 2 }] }, {}, /vCPUs have numbers/],
      [{ vcpus: [{ ...vcpu, id: 1 }] }, {}, /vCPU 0, which suspended it, is missing/],
      [{ vcpus: [{ ...vcpu, context: new Uint8Array(8) }] }, {}, /a vCPU has the wrong size/],
      [{}, { memoryBytes: (4 << 20) + 1 }, /its memoryBytes makes no sense/],
      [{}, { pfns: 0 }, /its pfns makes no sense/],
      [{}, { vcpus: 1.5 }, /its vcpus makes no sense/],
      [{}, { name: 7 }, /its name makes no sense/],
      [{}, { systemTimeNs: -1 }, /its systemTimeNs makes no sense/],
    ];
    for (const [changes, about, reason] of cases) {
      expect(refusal(encodeImage(imageOf(changes, about)))).toMatch(reason);
    }
  });

  test("that has more records or pages than any domain is refused before they are looked at", () => {
    const bytes = encodeImage(imageOf());
    const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
    const empty = Uint8Array.from({ length: 8 * 1025 }, (_, i) => (i % 8 === 0 ? 5 : 0));
    const head = bytes.subarray(0, 16);
    expect(refusal(Uint8Array.of(...head, ...empty))).toMatch(/more than 1024 records/);
    // The record of pages stands before the one of the end, which has 16 bytes.
    const at = bytes.length - 16 - (8 + 8 + 4 * 4 + 3 * PAGE);
    const pages = new Uint8Array(8 + 4 * 5000);
    pages.set(words(5000, 0));
    const body = Uint8Array.of(...bytes.subarray(0, at), ...words(5, pages.length), ...pages);
    const whole = Uint8Array.of(...body, ...words(0, 4, crc32(body), 0));
    expect(refusal(whole)).toMatch(/a record has more than 4096 pages/);
  });
});

describe("page tables between the machine and an image", () => {
  const entries = (...pairs: [number, number, number?][]) => {
    const table = new Uint8Array(PAGE);
    const view = new DataView(table.buffer);
    for (const [slot, low, high = 0] of pairs) {
      view.setUint32(8 * slot, low, true);
      view.setUint32(8 * slot + 4, high, true);
    }
    return table;
  };

  test("change the frames of present entries and nothing else of them", () => {
    const table = entries([0, 0x5063], [1, 0x5062], [511, 0x7001, 0x80000000]);
    expect(renameFrames(table, 512, (frame) => frame + 0x100)).toBeUndefined();
    expect(table).toEqual(entries([0, 0x105063], [1, 0x5062], [511, 0x107001, 0x80000000]));
  });

  test("lose what is Xen's: the end of the last directory, and all but four entries of the top", () => {
    expect([guestSlots(0, PGT_L1), guestSlots(0, PGT_L2), guestSlots(0, PGT_L3)]).toEqual([
      512, 512, 4,
    ]);
    const table = entries([3, 0x5001], [4, 0x6001]);
    renameFrames(table, guestSlots(0, PGT_L3), (frame) => frame);
    expect(table).toEqual(entries([3, 0x5001]));
  });

  test("with a frame that is not known are told of, frames past 4 GiB too", () => {
    const known = (frame: number) => (frame === 5 ? 6 : undefined);
    expect(renameFrames(entries([0, 0x5001], [7, 0x8001]), 512, known)).toEqual({
      slot: 7,
      frame: 8,
    });
    expect(renameFrames(entries([0, 0x5001, 1]), 512, known)).toEqual({ slot: 0, frame: 0x100005 });
  });
});
