/** What hostile domains do: one generator of steps, for the property and for the long run. A step is data, so that it can be printed and made small. */
import fc from "fast-check";
import * as xen from "../../../abi/xen.ts";
import {
  CODE_COUNT,
  CONSOLE_PAGE,
  CONTEXT,
  DATA,
  entryAt,
  FIRST_FREE,
  FREE_PAGES,
  HANDLER,
  HOLE,
  KERNEL,
  KERNEL_STACK,
  L1_PAGES,
  L2_PAGES,
  L3_PAGE,
  MAP,
  mfnOf,
  START_INFO,
  STORE_PAGE,
  USER_STACK,
  XEN_AREA,
} from "./places.ts";

/** An argument that stands for the address of the words of its call. */
export const HERE = -1;
/** And one for what is LIST_OFFSET further. */
export const LIST = -2;
export const LIST_OFFSET = 0x40;

/** One hypercall: its number, its arguments, and what is written to where HERE points. */
export interface Call {
  readonly number: number;
  readonly args: readonly number[];
  readonly words: readonly number[];
}

/** What one vCPU does next. */
export interface Step {
  readonly domain: number;
  readonly vcpu: number;
  readonly ring: number;
  /** Of PIECES; 0 with one call is that call, with several a multicall of them. */
  readonly piece: number;
  readonly calls: readonly Call[];
  /** EBX, ECX, EDX, ESI, EDI and EAX of other pieces. */
  readonly registers: readonly number[];
  readonly words: readonly number[];
  readonly isMasked: boolean;
}

/** Entries of a multicall; the words of all fit behind each other. */
const MOST_CALLS = 16;

/** Pages on which tables may be made. */
const FREE = Array.from({ length: FREE_PAGES }, (_, i) => FIRST_FREE + i);
const TABLES = [L3_PAGE, ...L2_PAGES, ...L1_PAGES];
const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const free = pick(...FREE);
const page = fc.oneof(
  { weight: 5, arbitrary: free },
  { weight: 3, arbitrary: pick(...TABLES) },
  { weight: 1, arbitrary: pick(DATA >>> 12, STORE_PAGE, CONSOLE_PAGE, START_INFO >>> 12) },
);
const oddMfn = pick(
  0,
  1,
  MAP.sharedInfoMfn,
  MAP.sharedInfoMfn - 1,
  MAP.ramMfn + MAP.ramFrames,
  MAP.grantMfn,
  MAP.grantMfn + 1,
  MAP.statusMfn,
  MAP.m2pTablesMfn,
  MAP.m2pMfn,
  MAP.foreignMfn,
  MAP.foreignMfn + 1,
  MAP.limit - 1,
  MAP.limit,
  0xfffff,
  0x100000,
  0x7fffffff,
  0xffffffff,
);
const mfn = fc.oneof({ weight: 8, arbitrary: page.map(mfnOf) }, { weight: 1, arbitrary: oddMfn });
const slot = fc.oneof(
  pick(0, 1, 2, 3, 4, 5, 0x1ab, 0x1ac, xen.L2_FIRST_XEN_SLOT, 511),
  free.map((pfn) => pfn & 511),
  pick(...TABLES.map((pfn) => pfn & 511)),
);
const entry = fc.tuple(page, slot).map(([pfn, at]) => entryAt(pfn, at));
const flags = fc.oneof(
  { weight: 8, arbitrary: pick(0, 1, 0x21, 0x61, 0x63, 0x67, 0x3, 0x7) },
  { weight: 1, arbitrary: fc.nat({ max: 0xfff }) },
);
const low = fc.tuple(mfn, flags).map(([frame, bits]) => ((frame << 12) | bits) >>> 0);
const high = fc.oneof(
  { weight: 20, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: pick(1, 0x80000000, 0x000fffff, 0xfff00000) },
);
/** Linear addresses whose mapping may change. */
const mapLin = fc.oneof(
  { weight: 6, arbitrary: free.map((pfn) => pfn << 12) },
  { weight: 2, arbitrary: pick(...TABLES).map((pfn) => pfn << 12) },
  {
    weight: 1,
    arbitrary: pick(
      HOLE,
      XEN_AREA,
      0x3ff000,
      0x400000,
      0xfffff000,
      0x40000000,
      0xc0000000,
      0xbffff000,
    ),
  },
);
/** Addresses to read and write. */
const lin = fc.oneof(
  { weight: 3, arbitrary: pick(DATA, DATA + 0xff8, DATA + 0xffe, HERE) },
  { weight: 3, arbitrary: mapLin },
  {
    weight: 2,
    arbitrary: fc.tuple(page, fc.nat({ max: 511 })).map(([pfn, at]) => (pfn << 12) + 8 * at),
  },
  {
    weight: 1,
    arbitrary: pick(0, XEN_AREA - 4, XEN_AREA + 0x1000, 0xfffffffc, 0x7ffffc, KERNEL_STACK, KERNEL),
  },
);
const domid = fc.oneof(
  { weight: 12, arbitrary: pick(xen.DOMID_SELF, 1, 2) },
  {
    weight: 1,
    arbitrary: pick(0, 3, xen.DOMID_IO, xen.DOMID_XEN, xen.DOMID_INVALID, 0xffff, 0x17ff0),
  },
);
/** Whose frames or tables a call is about. */
const owner = fc.oneof(
  { weight: 16, arbitrary: fc.constant(xen.DOMID_SELF) },
  { weight: 1, arbitrary: domid },
);
const small = fc.nat({ max: 8 });
const word = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 40 }) },
  { weight: 3, arbitrary: lin },
  { weight: 3, arbitrary: mfn },
  { weight: 2, arbitrary: low },
  { weight: 2, arbitrary: entry },
  { weight: 1, arbitrary: domid },
  {
    weight: 1,
    arbitrary: pick(
      0x80000001,
      0x80000000,
      0x7fffffff,
      xen.FLAT_RING1_CS,
      xen.FLAT_RING1_SS,
      xen.FLAT_RING3_CS,
      xen.FLAT_RING3_SS,
      HANDLER,
      USER_STACK,
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);
/** Elements of a list; now and then another number than there are. */
const count = (length: number) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(length) },
    { weight: 1, arbitrary: pick(0, 64, 200, 0x80000001, 0xffffffff) },
  );
const words = (...parts: readonly fc.Arbitrary<number>[]) => fc.tuple(...parts);
const call = (
  number: number,
  args: fc.Arbitrary<readonly number[]>,
  content: fc.Arbitrary<readonly number[]>,
) => fc.record({ number: fc.constant(number), args, words: content });
const none = fc.constant<readonly number[]>([]);
const zero = fc.constant(0);
const here = fc.constant(HERE);

/** A list of structures at HERE. */
function list(
  number: number,
  element: fc.Arbitrary<readonly number[]>,
  args: (length: fc.Arbitrary<number>) => fc.Arbitrary<readonly number[]>,
  max = 4,
): fc.Arbitrary<Call> {
  return fc
    .array(element, { minLength: 1, maxLength: max })
    .chain((elements) => call(number, args(count(elements.length)), fc.constant(elements.flat())));
}

const doneAt = fc.oneof({ weight: 6, arbitrary: zero }, { weight: 1, arbitrary: lin });
const mmuUpdate = list(
  xen.HYPERVISOR_MMU_UPDATE,
  fc
    .tuple(entry, pick(0, 0, 0, 0, 2, 2, 1, 3, 4), high, fc.oneof(low, fc.nat({ max: 1100 })), high)
    .map(([at, kind, above, value, more]) => [(at | kind) >>> 0, above, value, more]),
  (length) => words(here, length, doneAt, owner),
);
const updateVa = call(
  xen.HYPERVISOR_UPDATE_VA_MAPPING,
  words(mapLin, low, high, pick(0, 2, 2, 1, 4, 5, 6, 7, DATA | 1, 3)),
  none,
);
/** Takes the right to write away, so that a page can become something else. */
const readOnly = free.map(
  (pfn): Call => ({
    number: xen.HYPERVISOR_UPDATE_VA_MAPPING,
    args: [pfn << 12, ((mfnOf(pfn) << 12) | 0x61) >>> 0, 0, 2],
    words: [],
  }),
);
const mmuext = list(
  xen.HYPERVISOR_MMUEXT_OP,
  words(
    fc.oneof(
      { weight: 9, arbitrary: fc.nat({ max: 20 }) },
      { weight: 4, arbitrary: pick(0, 4, 5, 1, 2) },
    ),
    fc.oneof({ weight: 4, arbitrary: mfn }, { weight: 1, arbitrary: mapLin }),
    fc.oneof(pick(0, 8, 512, 8192, 9000), lin, mfn),
  ),
  (length) => words(here, length, doneAt, owner),
);
/** A whole new address space, as a kernel builds one. */
const newSpace = fc.tuple(free, free, fc.boolean()).map(([top, last, isUsed]): Call => {
  const requests = [
    [entryAt(top, 0), 0, ((mfnOf(L2_PAGES[0]!) << 12) | 1) >>> 0, 0],
    [entryAt(top, 3), 0, ((mfnOf(last) << 12) | 1) >>> 0, 0],
    ...[top, last].map((pfn) => [
      entryAt(L1_PAGES[pfn >> 9]!, pfn & 511),
      0,
      ((mfnOf(pfn) << 12) | 0x61) >>> 0,
      0,
    ]),
  ];
  return isUsed
    ? {
        number: xen.HYPERVISOR_MMUEXT_OP,
        args: [HERE, 1, 0, xen.DOMID_SELF],
        words: [xen.MMUEXT_PIN_L3_TABLE, mfnOf(top), 0],
      }
    : {
        number: xen.HYPERVISOR_MMU_UPDATE,
        args: [HERE, 4, 0, xen.DOMID_SELF],
        words: requests.flat(),
      };
});
const descriptors = fc.oneof(
  call(
    xen.HYPERVISOR_SET_GDT,
    words(here, fc.oneof(pick(0, 1, 8, 512, 513, 1024, xen.FIRST_RESERVED_GDT_ENTRY, 0xffffffff))),
    words(mfn, mfn, mfn),
  ),
  call(
    xen.HYPERVISOR_UPDATE_DESCRIPTOR,
    words(
      entry,
      high,
      fc.oneof(zero, word),
      fc.oneof(zero, word, pick(0x00cffb00, 0x00cfba00, 0x00cff300, 0x0000e200)),
    ),
    none,
  ),
);
const vector = pick(0, 3, 6, 8, 13, 14, 0x80, 255);
const selector = pick(xen.FLAT_RING1_CS, xen.FLAT_RING3_CS, 0, 0xb, 0xf, 0xffff, 0xe008);
const handler = fc.oneof(
  { weight: 5, arbitrary: fc.constant(HANDLER) },
  { weight: 1, arbitrary: lin },
);
const traps = fc.oneof(
  call(
    xen.HYPERVISOR_SET_TRAP_TABLE,
    words(fc.oneof({ weight: 5, arbitrary: here }, { weight: 1, arbitrary: lin })),
    fc
      .tuple(vector, fc.nat({ max: 7 }), selector, handler)
      .map(([v, f, cs, at]) => [(v | (f << 8) | (cs << 16)) >>> 0, at, 0, 0]),
  ),
  call(xen.HYPERVISOR_SET_CALLBACKS, words(selector, handler, selector, handler), none),
  call(
    xen.HYPERVISOR_CALLBACK_OP,
    words(pick(0, 0, 1, 2), here),
    words(fc.nat({ max: 0x1ffff }), selector, handler),
  ),
  call(xen.HYPERVISOR_NMI_OP, words(pick(0, 0, 1, 2), here), words(handler)),
  call(
    xen.HYPERVISOR_STACK_SWITCH,
    words(
      fc.oneof(fc.constant(xen.FLAT_RING1_SS), selector),
      fc.oneof(fc.constant(KERNEL_STACK), lin),
    ),
    none,
  ),
  call(xen.HYPERVISOR_FPU_TASKSWITCH, words(fc.nat({ max: 2 })), none),
  call(xen.HYPERVISOR_SET_DEBUGREG, words(small, word), none),
  call(xen.HYPERVISOR_GET_DEBUGREG, words(small), none),
  call(xen.HYPERVISOR_VM_ASSIST, words(pick(0, 1, 2), pick(0, 1, 2, 3, 4, 5, 0xffffffff)), none),
);
/** The frame of a return is on the stack. */
const iret = call(xen.HYPERVISOR_IRET, none, none);
const ref = pick(0, 1, 8, 9, 10, 11, 511, 512, 0xffffffff);
const mapFlags = fc.oneof(pick(2, 2, 6, 3, 1, 0x12, 0x16), fc.nat({ max: 0xff }));
const handle = pick(0, 1, 2, 3, 7, 0xffffffff);
const mapPlace = fc.oneof({ weight: 3, arbitrary: mapLin }, { weight: 1, arbitrary: entry });
const frameList = fc.oneof(
  { weight: 4, arbitrary: fc.constant(DATA + 0x1800) },
  { weight: 1, arbitrary: lin },
);
const grantOp = (op: number, element: fc.Arbitrary<readonly number[]>, max = 3) =>
  list(
    xen.HYPERVISOR_GRANT_TABLE_OP,
    element,
    (length) => words(fc.constant(op), here, length),
    max,
  );
/** Two fields of 16 bits. */
const pair = (first: fc.Arbitrary<number>, second: fc.Arbitrary<number>) =>
  fc.tuple(first, second).map(([a, b]) => ((a & 0xffff) | (b << 16)) >>> 0);
const offset = pick(0, 4, 0xff8, 0x1000, 0x800, 0xffff);
const grants = fc.oneof(
  {
    weight: 6,
    arbitrary: grantOp(
      xen.GNTTABOP_MAP_GRANT_REF,
      words(mapPlace, high, mapFlags, ref, domid, zero, zero, zero),
    ),
  },
  {
    weight: 6,
    arbitrary: grantOp(
      xen.GNTTABOP_UNMAP_GRANT_REF,
      words(
        fc.oneof(zero, mapPlace),
        high,
        fc.oneof(zero, pick(MAP.foreignMfn << 12, (MAP.foreignMfn + 1) << 12)),
        zero,
        handle,
        zero,
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: grantOp(
      xen.GNTTABOP_UNMAP_AND_REPLACE,
      words(mapPlace, high, mapPlace, high, handle, zero),
    ),
  },
  {
    weight: 3,
    arbitrary: grantOp(
      xen.GNTTABOP_COPY,
      words(
        fc.oneof(ref, mfn),
        pair(domid, offset),
        fc.oneof(ref, mfn),
        pair(domid, offset),
        pair(offset, fc.nat({ max: 7 })),
        zero,
      ),
    ),
  },
  { weight: 2, arbitrary: grantOp(xen.GNTTABOP_TRANSFER, words(mfn, domid, ref, zero)) },
  {
    weight: 1,
    arbitrary: grantOp(
      xen.GNTTABOP_SETUP_TABLE,
      words(domid, pick(0, 1, 2, 64, 65, 0xffffffff), zero, frameList),
      1,
    ),
  },
  {
    weight: 1,
    arbitrary: grantOp(
      xen.GNTTABOP_GET_STATUS_FRAMES,
      words(pick(0, 1, 16, 17), domid, frameList, zero),
      1,
    ),
  },
  { weight: 1, arbitrary: grantOp(xen.GNTTABOP_SET_VERSION, words(pick(0, 1, 2, 2, 3)), 1) },
  { weight: 1, arbitrary: grantOp(xen.GNTTABOP_SWAP_GRANT_REF, words(ref, ref, zero)) },
  {
    weight: 1,
    arbitrary: grantOp(
      xen.GNTTABOP_CACHE_FLUSH,
      words(lin, high, pair(offset, offset), fc.nat({ max: 8 })),
    ),
  },
  {
    weight: 1,
    arbitrary: list(
      xen.HYPERVISOR_GRANT_TABLE_OP,
      words(word, word, word, word, word, word),
      (length) => words(fc.nat({ max: 14 }), here, length),
    ),
  },
);
const port = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 10 }) },
  { weight: 1, arbitrary: pick(31, 32, 1023, 1024, 4095, 131071, 131072, 0xffffffff) },
);
const vcpuId = pick(0, 0, 1, 1, 2, 31, 32, 0xffffffff);
const event = (op: number, content: fc.Arbitrary<readonly number[]>) =>
  call(xen.HYPERVISOR_EVENT_CHANNEL_OP, words(fc.constant(op), here), content);
const events = fc.oneof(
  event(xen.EVTCHNOP_BIND_INTERDOMAIN, words(domid, port, zero)),
  event(xen.EVTCHNOP_BIND_VIRQ, words(fc.nat({ max: 24 }), vcpuId, zero)),
  event(xen.EVTCHNOP_BIND_PIRQ, words(fc.nat({ max: 300 }), small, zero)),
  event(xen.EVTCHNOP_CLOSE, words(port)),
  event(xen.EVTCHNOP_SEND, words(port)),
  event(xen.EVTCHNOP_STATUS, words(domid, port, zero, zero)),
  event(xen.EVTCHNOP_ALLOC_UNBOUND, words(pair(domid, domid), zero)),
  event(xen.EVTCHNOP_BIND_IPI, words(vcpuId, zero)),
  event(xen.EVTCHNOP_BIND_VCPU, words(port, vcpuId)),
  event(xen.EVTCHNOP_UNMASK, words(port)),
  event(xen.EVTCHNOP_RESET, words(domid)),
  event(xen.EVTCHNOP_INIT_CONTROL, words(mfn, high, offset, vcpuId, zero)),
  event(xen.EVTCHNOP_EXPAND_ARRAY, words(mfn, high)),
  event(xen.EVTCHNOP_SET_PRIORITY, words(port, pick(0, 7, 15, 16, 0xffffffff))),
  call(
    xen.HYPERVISOR_EVENT_CHANNEL_OP,
    words(fc.nat({ max: 20 }), lin),
    words(word, word, word, word),
  ),
  call(
    xen.HYPERVISOR_EVENT_CHANNEL_OP_COMPAT,
    words(here),
    words(fc.nat({ max: 16 }), word, word, word),
  ),
);
const order = pick(0, 0, 0, 1, 2, 9, 10, 31, 32, 0xffffffff);
const extents = fc.tuple(page, page, mfn, mfn);
/** A reservation whose list of frames stands behind it. */
const reservation = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: fc.constant(LIST) }, { weight: 1, arbitrary: lin }),
    pick(1, 2, 4, 0, 0x80000000),
    order,
    pick(0, 0, 0, 32, 0x10000),
    owner,
  )
  .map(([at, nr, by, bits, who]) => [at, nr, by, bits, who]);
const memoryOp = fc.oneof(
  {
    weight: 6,
    arbitrary: call(
      xen.HYPERVISOR_MEMORY_OP,
      words(
        pick(
          xen.XENMEM_DECREASE_RESERVATION,
          xen.XENMEM_INCREASE_RESERVATION,
          xen.XENMEM_POPULATE_PHYSMAP,
        ),
        here,
      ),
      fc
        .tuple(reservation, extents)
        .map(([first, frames]) => [...first, ...Array(16 - first.length).fill(0), ...frames]),
    ),
  },
  {
    weight: 2,
    arbitrary: call(
      xen.HYPERVISOR_MEMORY_OP,
      words(fc.constant(xen.XENMEM_EXCHANGE), here),
      fc
        .tuple(reservation, reservation, extents, pick(0, 0, 0, 1, 3), fc.boolean())
        .map(([input, output, frames, done, isSame]) => [
          ...input,
          ...(isSame ? input : output),
          done,
          ...Array(5).fill(0),
          ...frames,
        ]),
    ),
  },
  {
    weight: 3,
    arbitrary: call(
      xen.HYPERVISOR_MEMORY_OP,
      words(
        fc.oneof(fc.nat({ max: 30 }), fc.integer({ min: 0, max: 0xffffffff })),
        fc.oneof(here, lin),
      ),
      words(word, word, word, word, word, word, word, word),
    ),
  },
);
const vcpu = (
  op: number,
  content: fc.Arbitrary<readonly number[]>,
  pointer: fc.Arbitrary<number> = here,
) => call(xen.HYPERVISOR_VCPU_OP, words(fc.constant(op), vcpuId, pointer), content);
const vcpuOp = fc.oneof(
  { weight: 3, arbitrary: vcpu(xen.VCPUOP_INITIALISE, none, fc.constant(CONTEXT)) },
  { weight: 3, arbitrary: vcpu(xen.VCPUOP_UP, none) },
  { weight: 1, arbitrary: vcpu(xen.VCPUOP_DOWN, none) },
  { weight: 1, arbitrary: vcpu(xen.VCPUOP_GET_RUNSTATE_INFO, none) },
  { weight: 1, arbitrary: vcpu(xen.VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA, words(lin, zero)) },
  { weight: 1, arbitrary: vcpu(xen.VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA, words(lin, zero)) },
  {
    weight: 2,
    arbitrary: vcpu(
      xen.VCPUOP_REGISTER_VCPU_INFO,
      words(mfn, high, fc.oneof(pick(0, 0x40, 0xfc0, 0xfc4, 3, 0xffffffff)), zero),
    ),
  },
  {
    weight: 1,
    arbitrary: vcpu(xen.VCPUOP_SET_PERIODIC_TIMER, words(pick(0, 1, 1_000_000, 0xffffffff), high)),
  },
  { weight: 1, arbitrary: vcpu(xen.VCPUOP_SET_SINGLESHOT_TIMER, words(word, high, small)) },
  {
    weight: 1,
    arbitrary: call(
      xen.HYPERVISOR_VCPU_OP,
      words(fc.nat({ max: 16 }), vcpuId, fc.oneof(here, lin)),
      words(word, word, word, word),
    ),
  },
);
const sched = fc.oneof(
  { weight: 6, arbitrary: call(xen.HYPERVISOR_SCHED_OP, words(pick(0, 0, 1), zero), none) },
  {
    weight: 4,
    arbitrary: call(
      xen.HYPERVISOR_SCHED_OP,
      words(fc.constant(xen.SCHEDOP_POLL), here),
      words(
        fc.oneof(fc.constant(DATA + 0x1800), lin),
        pick(0, 1, 2, 128, 129),
        pick(0, 1, 1000, 0xffffffff),
        high,
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: call(
      xen.HYPERVISOR_SCHED_OP,
      words(fc.constant(xen.SCHEDOP_WATCHDOG), here),
      words(pick(0, 0, 1, 2, 3), pick(0, 1, 100)),
    ),
  },
  {
    weight: 1,
    arbitrary: call(
      xen.HYPERVISOR_SCHED_OP,
      words(fc.nat({ max: 9 }), fc.oneof(here, lin)),
      words(fc.nat({ max: 7 }), word, word),
    ),
  },
  { weight: 1, arbitrary: call(xen.HYPERVISOR_SCHED_OP_COMPAT, words(pick(0, 1, 3), small), none) },
  {
    weight: 2,
    arbitrary: call(xen.HYPERVISOR_SET_TIMER_OP, words(fc.oneof(zero, word), high), none),
  },
);
const others = fc.oneof(
  call(
    xen.HYPERVISOR_PHYSDEV_OP,
    words(fc.nat({ max: 32 }), fc.oneof(here, lin)),
    words(fc.oneof(mfn, word), word, word, word),
  ),
  call(
    xen.HYPERVISOR_PHYSDEV_OP,
    words(pick(xen.PHYSDEVOP_PIRQ_EOI_GMFN_V1, xen.PHYSDEVOP_PIRQ_EOI_GMFN_V2), here),
    words(mfn, zero),
  ),
  call(
    xen.HYPERVISOR_XEN_VERSION,
    words(fc.nat({ max: 12 }), fc.oneof(here, lin)),
    words(word, word),
  ),
  call(xen.HYPERVISOR_HVM_OP, words(fc.nat({ max: 26 }), here), words(word, word, word, word)),
  call(xen.HYPERVISOR_CONSOLE_IO, words(small, word, lin), none),
  call(xen.HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN, words(mapLin, low, high, small, domid), none),
);
/** Any call with anything; it hardly ever ends a domain. */
const anything = fc
  .record({
    number: fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 56 }) }, { weight: 1, arbitrary: word }),
    args: words(word, word, word, word, word),
    words: fc.array(word, { maxLength: 16 }),
  })
  .filter(({ number }) => number !== xen.HYPERVISOR_MULTICALL && number !== xen.HYPERVISOR_IRET);

const oneCall: fc.Arbitrary<Call> = fc.oneof(
  { weight: 10, arbitrary: mmuUpdate },
  { weight: 8, arbitrary: updateVa },
  { weight: 4, arbitrary: readOnly },
  { weight: 8, arbitrary: mmuext },
  { weight: 3, arbitrary: newSpace },
  { weight: 3, arbitrary: descriptors },
  { weight: 3, arbitrary: traps },
  { weight: 14, arbitrary: grants },
  { weight: 8, arbitrary: events },
  { weight: 6, arbitrary: memoryOp },
  { weight: 6, arbitrary: vcpuOp },
  { weight: 2, arbitrary: sched },
  { weight: 3, arbitrary: others },
  { weight: 4, arbitrary: anything },
);

const who = { domain: fc.nat({ max: 1 }), vcpu: fc.nat({ max: 1 }), isMasked: fc.boolean() };
const ring = fc.oneof(
  { weight: 12, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(3) },
);
const nothing = { registers: none, words: none };

/** One step. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ ...who, ...nothing, ring, piece: zero, calls: fc.tuple(oneCall) }),
  },
  // A return to where the frame says.
  {
    weight: 1,
    arbitrary: fc.record({
      ...who,
      ring: fc.constant(1),
      piece: zero,
      calls: fc.tuple(iret),
      registers: none,
      words: words(word, handler, selector, word, lin, fc.oneof(selector, word)),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      ...who,
      ...nothing,
      ring: fc.constant(1),
      piece: zero,
      calls: fc.array(oneCall, { minLength: 2, maxLength: MOST_CALLS, size: "max" }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      ...who,
      ring: fc.oneof(fc.constant(1), ring),
      piece: fc.integer({ min: 1, max: CODE_COUNT - 1 }),
      calls: fc.constant<readonly Call[]>([]),
      registers: words(lin, word, word, lin, lin, word),
      words: fc.array(word, { maxLength: 12 }),
    }),
  },
  // Entries of the grant table, as a kernel writes them.
  {
    weight: 6,
    arbitrary: fc
      .record({
        ...who,
        at: pick(8, 9, 10, 11, 511),
        type: pick(0, 1, 1, 1, 2, 3, 5, 9, 0x101),
        to: domid,
        frame: mfn,
        isWide: fc.boolean(),
      })
      .map(
        ({ at, type, to, frame, isWide, ...rest }): Step => ({
          ...rest,
          ring: 1,
          piece: -1,
          calls: [],
          registers: isWide ? [at, type, to, 0, frame, 0] : [at, type, to, frame, 0, 0],
          words: [],
        }),
      ),
  },
);
