import { beforeEach, describe, expect, test } from "vitest";
import {
  DOMID_SELF,
  EVTCHN_FIFO_BUSY,
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_PENDING,
  XEN_EACCES,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
} from "../../../abi/xen.ts";
import {
  EVTCHN_FIFO_CONTROL_BYTES,
  EVTCHN_FIFO_HEADS,
  EVTCHN_FIFO_READY,
  SI_EVTCHN_PENDING,
  VCPU_INFO_BYTES,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
} from "../../../abi/xen-layout.ts";
import { EventChannels } from "../../../host-ts/xen/event-channels.ts";
import { FakeMemory } from "../devices/support.ts";

const PAGE = 0x1000;
/** Frames: shared_info is 0; these are RAM. */
const CONTROL_MFN = 1;
const ARRAY_MFN = 2;
const OTHER_MFN = 3;
const FRAMES = 4;

let memory: FakeMemory;
let channels: EventChannels;
let held: number[];

beforeEach(() => {
  ({ memory, channels, held } = setUp());
});

function setUp() {
  const memory = new FakeMemory(FRAMES * PAGE);
  const held: number[] = [];
  const channels = new EventChannels({
    memory,
    domid: 5,
    sharedInfoGpa: 0,
    vcpus: 2,
    vcpuInfoGpa: (vcpu) => vcpu * VCPU_INFO_BYTES,
    holdFrame: (mfn) => {
      if (mfn < 1 || mfn >= FRAMES) return false;
      held.push(mfn);
      return true;
    },
    releaseFrame: (mfn) => held.splice(held.indexOf(mfn), 1),
  });
  return { memory, channels, held };
}

const control = (vcpu: number) => CONTROL_MFN * PAGE + vcpu * 0x80;
const head = (priority: number, vcpu = 0) =>
  memory.readU32(control(vcpu) + EVTCHN_FIFO_HEADS + 4 * priority);
const ready = (vcpu = 0) => memory.readU32(control(vcpu) + EVTCHN_FIFO_READY);
const upcall = (vcpu = 0) => memory.readU8(vcpu * VCPU_INFO_BYTES + VI_UPCALL_PENDING);
const wordAt = (port: number) => ARRAY_MFN * PAGE + 4 * port;
const word = (port: number) => memory.readU32(wordAt(port)) >>> 0;
const LINKED_PENDING = (EVTCHN_FIFO_LINKED | EVTCHN_FIFO_PENDING) >>> 0;

/** Queues for both vCPUs, and words for the first 1,024 ports. */
function useQueues(): void {
  expect(channels.initControl(0, CONTROL_MFN, 0)).toBe(0);
  expect(channels.initControl(1, CONTROL_MFN, 0x80)).toBe(0);
  expect(channels.expandArray(ARRAY_MFN)).toBe(0);
}

/** What a guest's handler does: takes the ports of a queue in their order, unlinking and clearing each. */
function consume(priority: number, vcpu = 0): number[] {
  const ports: number[] = [];
  memory.writeU32(control(vcpu) + EVTCHN_FIFO_READY, ready(vcpu) & ~(1 << priority));
  for (let port = head(priority, vcpu); port !== 0; ) {
    const old = word(port);
    memory.writeU32(
      wordAt(port),
      old & ~(EVTCHN_FIFO_LINKED | EVTCHN_FIFO_LINK_MASK | EVTCHN_FIFO_PENDING),
    );
    ports.push(port);
    port = old & EVTCHN_FIFO_LINK_MASK;
  }
  return ports;
}

describe("choosing queues", () => {
  test.each([
    ["a vCPU that there is not", 2, CONTROL_MFN, 0, -XEN_ENOENT],
    ["a block across pages", 0, CONTROL_MFN, PAGE - EVTCHN_FIFO_CONTROL_BYTES + 8, -XEN_EINVAL],
    ["a block that is not aligned", 0, CONTROL_MFN, 4, -XEN_EINVAL],
    ["a frame that is no RAM", 0, 99, 0, -XEN_EINVAL],
  ])("is refused for %s, and bits go on", (_, vcpu, mfn, offset, error) => {
    expect(channels.initControl(vcpu, mfn, offset)).toBe(error);
    expect(channels.expandArray(ARRAY_MFN)).toBe(-XEN_EOPNOTSUPP);
    channels.raise(channels.bindIpi(0));
    expect(memory.readU32(VI_PENDING_SEL)).toBe(1);
    expect(held).toEqual([]);
  });

  test("holds the pages, once for each vCPU and as many of words as there are", () => {
    useQueues();
    expect(channels.initControl(1, OTHER_MFN, 0)).toBe(-XEN_EINVAL);
    expect(channels.expandArray(99)).toBe(-XEN_EINVAL);
    expect(held).toEqual([CONTROL_MFN, CONTROL_MFN, ARRAY_MFN]);
  });

  test("keeps what was pending as bits until there is a page of words", () => {
    const port = channels.bindIpi(1);
    channels.raise(port);
    memory.writeU8(VCPU_INFO_BYTES + VI_UPCALL_PENDING, 0);
    channels.initControl(0, CONTROL_MFN, 0);
    channels.initControl(1, CONTROL_MFN, 0x80);
    expect([channels.isPending(port), upcall(1)]).toEqual([false, 0]);
    channels.expandArray(ARRAY_MFN);
    expect([channels.isPending(port), upcall(1), head(7, 1)]).toEqual([true, 1, port]);
  });

  test("leaves bits alone from then on, until a reset gives the pages back", () => {
    useQueues();
    channels.raise(channels.bindIpi(0));
    expect([memory.readU32(SI_EVTCHN_PENDING), memory.readU32(VI_PENDING_SEL)]).toEqual([0, 0]);
    expect(channels.reset(DOMID_SELF)).toBe(0);
    expect(held).toEqual([]);
    // The guest still has port 1 in a queue, which no longer means anything.
    channels.raise(channels.bindIpi(0));
    expect(memory.readU32(SI_EVTCHN_PENDING)).toBe(2);
  });
});

describe("a queue", () => {
  beforeEach(useQueues);

  test("begins with a head, a ready bit and an upcall, and goes on by links without another", () => {
    const [a, b, c] = [channels.bindIpi(0), channels.bindIpi(0), channels.bindIpi(0)];
    channels.raise(b);
    expect([head(7), ready(), upcall(), word(b)]).toEqual([b, 1 << 7, 1, LINKED_PENDING]);
    memory.writeU8(VI_UPCALL_PENDING, 0);
    channels.raise(c);
    channels.raise(a);
    channels.raise(b);
    expect([word(b), word(c), word(a)]).toEqual([
      LINKED_PENDING + c,
      LINKED_PENDING + a,
      LINKED_PENDING,
    ]);
    expect([head(7), upcall()]).toEqual([b, 0]);
    expect(consume(7)).toEqual([b, c, a]);
  });

  test("that was emptied begins again, with its last port too", () => {
    const [a, b] = [channels.bindIpi(0), channels.bindIpi(0)];
    channels.raise(a);
    channels.raise(b);
    consume(7);
    memory.writeU8(VI_UPCALL_PENDING, 0);
    channels.raise(b);
    channels.raise(a);
    expect([head(7), upcall(), word(b) & EVTCHN_FIFO_LINK_MASK]).toEqual([b, 1, a]);
    expect(consume(7)).toEqual([b, a]);
  });

  test("gets a port once, though it is raised while the guest has it out but not handled", () => {
    const a = channels.bindIpi(0);
    channels.raise(a);
    // The guest has unlinked it, and not yet cleared PENDING.
    memory.writeU32(wordAt(a), EVTCHN_FIFO_PENDING);
    memory.writeU32(control(0) + EVTCHN_FIFO_READY, 0);
    channels.raise(a);
    expect([head(7), ready(), word(a)]).toEqual([a, 1 << 7, LINKED_PENDING]);
  });

  test("takes BUSY from the tail that it links to", () => {
    const [a, b] = [channels.bindIpi(0), channels.bindIpi(0)];
    channels.raise(a);
    memory.writeU32(wordAt(a), word(a) | EVTCHN_FIFO_BUSY);
    channels.raise(b);
    expect(word(a)).toBe(LINKED_PENDING + b);
  });

  test("has no masked port until it is unmasked while pending", () => {
    const a = channels.bindIpi(0);
    memory.writeU32(wordAt(a), EVTCHN_FIFO_MASKED);
    channels.raise(a);
    expect([channels.isPending(a), upcall(), head(7)]).toEqual([true, 0, 0]);
    expect(channels.unmask(a)).toBe(0);
    expect([word(a), upcall(), head(7)]).toEqual([LINKED_PENDING, 1, a]);
  });

  test("is the one of the vCPU that a port is told to, and of its priority at that time", () => {
    const port = channels.allocUnbound(DOMID_SELF, DOMID_SELF);
    const other = channels.bindInterdomain(DOMID_SELF, port);
    consume(7);
    expect(channels.setPriority(port, 2)).toBe(0);
    channels.send(other);
    expect([head(2), ready() & 4]).toEqual([port, 4]);
    expect(channels.bindVcpu(port, 1)).toBe(0);
    channels.setPriority(port, 0);
    channels.send(other);
    expect([head(0, 1), word(port)]).toEqual([0, LINKED_PENDING]);
    expect(consume(2)).toEqual([port]);
    channels.send(other);
    expect([head(0, 1), ready(1), upcall(1)]).toEqual([port, 1, 1]);
    // Nothing is left of it behind which the old queue could be continued.
    const next = channels.bindIpi(0);
    channels.setPriority(next, 2);
    channels.send(next);
    expect([head(2), word(port)]).toEqual([next, LINKED_PENDING]);
  });

  test("keeps a closed port from being given out while the guest has not unlinked it", () => {
    const a = channels.bindIpi(0);
    channels.setPriority(a, 3);
    channels.raise(a);
    channels.close(a);
    expect(word(a)).toBe(EVTCHN_FIFO_LINKED);
    expect(channels.bindIpi(0)).toBe(a + 1);
    consume(3);
    const again = channels.bindIpi(0);
    channels.raise(again);
    expect([again, head(7)]).toEqual([a, a]);
  });
});

describe("priorities", () => {
  test("are 0 to 15, of ports that are bound, in queues", () => {
    const port = channels.bindIpi(0);
    expect(channels.setPriority(port, 1)).toBe(-XEN_ENOSYS);
    useQueues();
    expect(channels.setPriority(port, 15)).toBe(0);
    expect(channels.setPriority(port, 16)).toBe(-XEN_EINVAL);
    expect(channels.setPriority(port + 1, 1)).toBe(-XEN_EACCES);
    expect(channels.setPriority(64, 1)).toBe(-XEN_EINVAL);
  });
});

test("saved queues go on where they were", () => {
  useQueues();
  const [a, b] = [channels.bindIpi(0), channels.bindIpi(0)];
  channels.setPriority(b, 4);
  channels.raise(a);
  const saved = structuredClone(channels.save());
  const bytes = memory.read(0, FRAMES * PAGE);
  ({ memory, channels, held } = setUp());
  memory.write(0, bytes);
  channels.restore(saved);
  channels.setPriority(b, 7);
  channels.raise(b);
  expect(consume(7)).toEqual([a, b]);
  channels.reset(DOMID_SELF);
});
