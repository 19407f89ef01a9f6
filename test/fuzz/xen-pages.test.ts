/** Random calls on page tables: whatever a kernel asks for, every count is what the tables say, and all are 0 at the end. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  EXIT_KILL,
  VCPU_CR3,
  VCPU_PAGING,
  VCPU_XEN_GDT_FRAMES,
  VCPU_XEN_LDT_FRAMES,
  XEN_GDT_FRAMES_MAX,
  XEN_LDT_FRAMES_MAX,
} from "../../abi/vcpu.ts";
import { PTE_P, PTE_RW, REG_EAX, SEG_FS, VECTOR_GP } from "../../abi/x86.ts";
import {
  DOMID_SELF,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_SET_GDT,
  HYPERVISOR_UPDATE_DESCRIPTOR,
  HYPERVISOR_UPDATE_VA_MAPPING,
  L2_FIRST_XEN_SLOT,
  MMUEXT_SET_LDT,
} from "../../abi/xen.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_OWNED,
  PAGE_PINNED,
  PAGE_VALIDATED,
  PAGE_XEN_L2,
  PGT_L1,
  PGT_L2,
  PGT_L3,
  PGT_SHIFT,
  XEN_RAM_MFN,
} from "../../abi/xen-memory.ts";
import { movImm, movToSeg } from "../unit/protect/assembler.ts";
import {
  DATA,
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

const LIST = DATA + 0x100;
/** Pages that the calls are about. */
const PAGES = [
  L3_PAGE,
  L2_PAGE,
  L2_XEN_PAGE,
  L1_PAGE,
  GDT_PAGE,
  ...Array.from({ length: 10 }, (_, i) => FREE_PAGE + i),
];
const FIRST = XEN_RAM_MFN;
const LAST = M2P_MFN;

const page = fc.constantFrom(...PAGES);
const free = fc.constantFrom(...PAGES.slice(4));
/** Slots with entries, slots beside them, Xen's and the last. */
const slot = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 7, 0x1ab, L2_FIRST_XEN_SLOT, 511),
  fc.constantFrom(...PAGES),
  fc.integer({ min: UNMAPPED_PAGE, max: UNMAPPED_PAGE + 8 }),
);
const mfn = fc.oneof(
  { weight: 8, arbitrary: page.map(mfnOf) },
  { weight: 1, arbitrary: fc.constantFrom(M2P_MFN, XEN_RAM_MFN + 512, WINDOW_MFN, 0, 0xfffff) },
);
const flags = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 1, 0x21, 0x61, 0x63, 0x67, 0x3, 0x7) },
  { weight: 1, arbitrary: fc.nat({ max: 0xfff }) },
);
const low = fc.tuple(mfn, flags).map(([frame, bits]) => ((frame << 12) | bits) >>> 0);

type Step = (domain: Domain) => void;
const update = (kind: number, table: number, at: number, value: number): Step => {
  return (domain) => {
    domain.write32(LIST, entryAt(table, at) | kind, 0, value, 0);
    domain.call(HYPERVISOR_MMU_UPDATE, LIST, 1, 0, DOMID_SELF);
  };
};
const extended = (command: number, arg1: number, arg2: number): Step => {
  return (domain) => {
    domain.write32(LIST, command, arg1, arg2);
    domain.call(HYPERVISOR_MMUEXT_OP, LIST, 1, 0, DOMID_SELF);
  };
};

/** The pages that the test itself runs on stay as they are mapped. */
const mappable = fc.oneof(fc.constantFrom(...PAGES), fc.constantFrom(UNMAPPED_PAGE, 0x1c1));
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(0, 2), page, slot, low).map((a) => update(...a)),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(mappable, low).map(
      ([at, value]): Step =>
        (domain) =>
          void domain.call(HYPERVISOR_UPDATE_VA_MAPPING, at << 12, value, 0, 2),
    ),
  },
  {
    weight: 2,
    arbitrary: free.map(
      (at): Step =>
        (domain) =>
          void domain.call(HYPERVISOR_UPDATE_VA_MAPPING, at << 12, (mfnOf(at) << 12) | 0x61, 0, 2),
    ),
  },
  // A whole new address space, as a kernel builds one: it may or may not be accepted.
  {
    weight: 1,
    arbitrary: fc.tuple(free, free).map(
      ([top, last]): Step =>
        (domain) => {
          update(0, top, 0, (mfnOf(L2_PAGE) << 12) | 1)(domain);
          update(0, top, 3, (mfnOf(last) << 12) | 1)(domain);
          for (const at of [top, last]) {
            const entry = (mfnOf(at) << 12) | 0x61;
            domain.call(HYPERVISOR_UPDATE_VA_MAPPING, at << 12, entry, 0, 2);
          }
          extended(2, mfnOf(top), 0)(domain);
        },
    ),
  },
  { weight: 3, arbitrary: fc.tuple(fc.nat({ max: 20 }), mfn, mfn).map((a) => extended(...a)) },
  { weight: 1, arbitrary: page.map((at) => extended(MMUEXT_SET_LDT, at << 12, 512)) },
  {
    weight: 1,
    arbitrary: fc.tuple(mfn, fc.nat({ max: 1024 })).map(
      ([frame, entries]): Step =>
        (domain) => {
          domain.write32(LIST, frame, frame);
          domain.call(HYPERVISOR_SET_GDT, LIST, entries);
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(page, fc.nat({ max: 9 }), fc.nat(), fc.nat()).map(
      ([at, index, a, b]): Step =>
        (domain) =>
          void domain.call(HYPERVISOR_UPDATE_DESCRIPTOR, entryAt(at, index), 0, a, b),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step>((domain) => {
      domain.execute(1, movImm(REG_EAX, 0xd), movToSeg(SEG_FS, REG_EAX));
    }),
  },
  // The balloon: a frame goes, and comes back when nothing holds it.
  {
    weight: 1,
    arbitrary: fc.integer({ min: FREE_PAGE, max: FREE_PAGE + 9 }).map(
      (at): Step =>
        (domain) => {
          const { exports } = domain.core;
          if (exports.xenTakeFrame(domain.vcpu.ptr, mfnOf(at)) === 0) {
            exports.xenAddFrames(domain.guest, mfnOf(at), 1, PAGE_OWNED);
          }
        },
    ),
  },
);

/** @returns false when the step was the last: the domain is dead. */
function survives(domain: Domain, step: Step): boolean {
  try {
    step(domain);
    return true;
  } catch (error) {
    if (domain.exitReason !== EXIT_KILL) throw error;
    return false;
  }
}

/** Compares the counts of every frame with what tables, pins and registers refer to. */
function audit(domain: Domain): void {
  const { exports } = domain.core;
  const types = new Map<number, number>();
  const refs = new Map<number, number>();
  const add = (map: Map<number, number>, frame: number): void => {
    map.set(frame, (map.get(frame) ?? 0) + 1);
  };
  const addBoth = (frame: number): void => {
    add(types, frame);
    add(refs, frame);
  };
  const v = domain.vcpu;
  if (v.u32(VCPU_PAGING) !== 0) addBoth(v.u32(VCPU_CR3) >>> 12);
  for (let i = 0; i < XEN_GDT_FRAMES_MAX; i++) {
    const frame = v.u32(VCPU_XEN_GDT_FRAMES + 4 * i);
    if (frame !== 0) addBoth(frame);
  }
  for (let i = 0; i < XEN_LDT_FRAMES_MAX; i++) {
    const frame = v.u32(VCPU_XEN_LDT_FRAMES + 4 * i);
    if (frame !== 0) addBoth(frame);
  }
  for (let frame = FIRST; frame <= LAST; frame++) {
    const word = exports.xenTypeOf(domain.guest, frame) >>> 0;
    if ((word & PAGE_PINNED) !== 0) addBoth(frame);
    const type = word >>> PGT_SHIFT;
    if ((word & PAGE_VALIDATED) === 0 || type < PGT_L1 || type > PGT_L3) continue;
    const ptr = exports.frameForRead(domain.guest, frame) >>> 0;
    const view = domain.core.words(ptr + 0x1000);
    const slots = type === PGT_L3 ? 4 : (word & PAGE_XEN_L2) !== 0 ? L2_FIRST_XEN_SLOT : 512;
    for (let i = 0; i < slots; i++) {
      const entry = view.getUint32(ptr + i * 8, true);
      if ((entry & PTE_P) === 0) continue;
      const target = entry >>> 12;
      if (type === PGT_L1) {
        add(refs, target);
        if ((entry & PTE_RW) !== 0) add(types, target);
      } else if (type !== PGT_L2 || target !== frame) addBoth(target);
    }
  }
  for (let frame = FIRST; frame <= LAST; frame++) {
    const word = exports.xenTypeOf(domain.guest, frame) >>> 0;
    const found = [word & PAGE_COUNT_MASK, exports.xenReferencesOf(domain.guest, frame)];
    const expected = [types.get(frame) ?? 0, refs.get(frame) ?? 0];
    if (found[0] !== expected[0] || found[1] !== expected[1]) {
      throw new Error(
        `frame ${frame.toString(16)} (${word.toString(16)}): ${found}, not ${expected}`,
      );
    }
  }
}

test("counts agree with the tables after every call, and are 0 when the domain is gone", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 1, maxLength: 60 }), (list) => {
      const domain = new Domain();
      try {
        domain.setTraps([VECTOR_GP, 0]);
        for (const step of list) {
          const alive = survives(domain, step);
          audit(domain);
          // It has pulled the ground from under its own feet.
          if (!alive) break;
        }
        expect(domain.relinquish()).toBe(0);
      } finally {
        domain.destroy();
      }
    }),
    { numRuns: Number(process.env["WASMVISOR_XEN_RUNS"] ?? 60) },
  );
}, 600_000);
