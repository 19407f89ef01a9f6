/** A list of updates does what the same updates do one by one: results, tables, types and counts. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  DOMID_SELF,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MULTICALL,
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_VM_ASSIST,
  L2_FIRST_XEN_SLOT,
} from "../../abi/xen.ts";
import { XEN_RAM_MFN } from "../../abi/xen-memory.ts";
import {
  Domain,
  entryAt,
  FREE_PAGE,
  GDT_PAGE,
  L1_PAGE,
  L2_PAGE,
  L2_XEN_PAGE,
  L3_PAGE,
  M2P_MFN,
  mfnOf,
  UNMAPPED_PAGE,
  WINDOW_MFN,
} from "../unit/xen/domain.ts";

/** Two pages, so that an entry may lie across them. */
const LIST = 0x60000;
const PAGES = [L3_PAGE, L2_PAGE, L2_XEN_PAGE, L1_PAGE, GDT_PAGE, FREE_PAGE, FREE_PAGE + 1];
const TARGETS = [FREE_PAGE, FREE_PAGE + 1, UNMAPPED_PAGE, UNMAPPED_PAGE + 1, 0x1ff];

const mfn = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(FREE_PAGE, FREE_PAGE + 1, 0x80, 0x81).map(mfnOf) },
  { weight: 2, arbitrary: fc.constantFrom(...PAGES).map(mfnOf) },
  { weight: 1, arbitrary: fc.constantFrom(M2P_MFN, WINDOW_MFN, XEN_RAM_MFN + 512, 0, 0xfffff) },
);
const bits = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 0x61, 0x63, 0x67, 0x3) },
  { weight: 1, arbitrary: fc.nat({ max: 0xfff }) },
);
const low = fc.tuple(mfn, bits).map(([frame, flags]) => ((frame << 12) | flags) >>> 0);
const high = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(0x80000000, 1, 0x7ff00000) },
);
const lin = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...TARGETS).map((page) => page << 12) },
  { weight: 1, arbitrary: fc.constantFrom(0x200000, 0x40000000, 0xf5800000, 0xf5600000) },
);
const flush = fc.constantFrom(0, 0, 2, 2, 2, 1, 4, 5, 6, 3, 7, 0x123 << 2);

/** A call of a multicall: number and arguments. */
const call = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(lin, low, high, flush)
      .map((args) => [HYPERVISOR_UPDATE_VA_MAPPING, ...args]),
  },
  { weight: 1, arbitrary: fc.constantFrom(0, 2, 9).map((type) => [HYPERVISOR_VM_ASSIST, 0, type]) },
);
const slot = fc.constantFrom(0x40, 0x41, 0x1c0, 0x1c1, 0x1ff, 3, L2_FIRST_XEN_SLOT);
/** A request of mmu_update. */
const request = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(L1_PAGE) },
      { weight: 1, arbitrary: fc.constantFrom(...PAGES) },
    ),
    slot,
    fc.constantFrom(0, 0, 0, 2, 2, 1, 3),
    fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
    low,
    high,
  )
  .map(([page, at, kind, above, ...value]) => [entryAt(page, at) | kind, above, ...value]);

/** Everything that the tables say, and what is known about every frame. */
function state(domain: Domain): unknown {
  const { exports } = domain.core;
  const frames = [];
  for (let frame = XEN_RAM_MFN; frame <= M2P_MFN; frame++) {
    frames.push(exports.xenTypeOf(domain.guest, frame) >>> 0);
    frames.push(exports.xenReferencesOf(domain.guest, frame));
  }
  const table = Array.from({ length: 1024 }, (_, i) => domain.read32((L1_PAGE << 12) + 4 * i));
  return { frames, table };
}

test("a multicall of updates is the same as the updates", () => {
  const start = fc.constantFrom(LIST, LIST + 0xfd0, LIST + 0x9c4);
  fc.assert(
    fc.property(start, fc.array(call, { minLength: 1, maxLength: 40 }), (list, calls) => {
      const whole = new Domain();
      const single = new Domain();
      try {
        for (const [i, [number = 0, ...args]] of calls.entries()) {
          whole.write32(list + 32 * i, number, 0xdead, ...args);
        }
        expect(whole.call(HYPERVISOR_MULTICALL, list, calls.length)).toBe(0);
        for (const [i, [number = 0, ...args]] of calls.entries()) {
          const result = single.call(number, ...args);
          expect(whole.read32(list + 32 * i + 4) | 0, `entry ${i}`).toBe(result);
        }
        expect(state(whole)).toEqual(state(single));
      } finally {
        whole.destroy();
        single.destroy();
      }
    }),
    { numRuns: Number(process.env["WASMVISOR_XEN_RUNS"] ?? 60) },
  );
}, 600_000);

test("a list of requests is the same as the requests", () => {
  const start = fc.constantFrom(LIST, LIST + 0xfe8, LIST + 0x9c4);
  fc.assert(
    fc.property(start, fc.array(request, { minLength: 1, maxLength: 40 }), (list, requests) => {
      const whole = new Domain();
      const single = new Domain();
      try {
        whole.write32(list, ...requests.flat());
        const result = whole.call(
          HYPERVISOR_MMU_UPDATE,
          list,
          requests.length,
          LIST + 0x1800,
          DOMID_SELF,
        );
        let done = 0;
        let error = 0;
        for (const words of requests) {
          single.write32(LIST, ...words);
          error = single.call(HYPERVISOR_MMU_UPDATE, LIST, 1, 0, DOMID_SELF);
          if (error !== 0) break;
          done++;
        }
        expect([result, whole.read32(LIST + 0x1800)]).toEqual([error, done]);
        expect(state(whole)).toEqual(state(single));
      } finally {
        whole.destroy();
        single.destroy();
      }
    }),
    { numRuns: Number(process.env["WASMVISOR_XEN_RUNS"] ?? 60) },
  );
}, 600_000);
