import { describe, expect, it } from "vitest";
import {
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
} from "../../../abi/virtio.ts";
import { legacyRing, SplitVirtqueue } from "../../../host-ts/devices/virtqueue.ts";
import { EVENT_IDX, FakeMemory, INDIRECT, RingDriver } from "./support.ts";

const SIZE = 8;

function setUp(features = 0n) {
  const memory = new FakeMemory(0x40000);
  const driver = new RingDriver(memory, 0x1000, SIZE);
  const broken: string[] = [];
  const queue = new SplitVirtqueue(memory, 0, driver.parts, features, (r) => broken.push(r));
  return { memory, driver, queue, broken };
}

describe("a legacy ring", () => {
  it("of 256 entries takes three pages, its used part on a page of its own", () => {
    const { addresses, bytes } = legacyRing(0x10000, 256, 4096);
    expect(addresses).toEqual({
      size: 256,
      descriptors: 0x10000,
      available: 0x11000,
      used: 0x12000,
    });
    expect(bytes).toBe(0x2000 + 6 + 8 * 256);
  });
});

describe("a split ring", () => {
  it("gives chains in order, as one readable and one writable sequence", () => {
    const { memory, driver, queue } = setUp();
    memory.write(0x8000, Uint8Array.of(1, 2, 3));
    memory.write(0x9000, Uint8Array.of(4, 5));
    driver.add([
      { gpa: 0x8000, length: 3 },
      { gpa: 0x9000, length: 2 },
      { gpa: 0xa000, length: 2, write: true },
      { gpa: 0xb000, length: 4, write: true },
    ]);
    const request = queue.pop()!;
    expect([request.readableBytes, request.writableBytes]).toEqual([5, 6]);
    expect([...request.read(0, 100)]).toEqual([1, 2, 3, 4, 5]);
    expect([...request.read(2, 2)]).toEqual([3, 4]);
    expect([...request.read(5, 1)]).toEqual([]);
    expect(request.write(1, Uint8Array.of(7, 8, 9, 10, 11, 12, 13))).toBe(5);
    expect([...memory.read(0xa000, 2)]).toEqual([0, 7]);
    expect([...memory.read(0xb000, 5)]).toEqual([8, 9, 10, 11, 0]);
    queue.push(request, 6);
    expect(driver.takeUsed()).toEqual([[request.head, 6]]);
    expect(queue.pop()).toBeUndefined();
  });

  it("keeps working when its indexes wrap around 65536", () => {
    const { driver, queue, broken } = setUp();
    for (let i = 0; i < 70_000; i++) {
      driver.add([{ gpa: 0x8000, length: 4 }]);
      queue.push(queue.pop()!, 0);
      queue.wantsInterrupt();
    }
    expect(driver.takeUsed().length).toBe(70_000 - 65_536);
    expect(broken).toEqual([]);
  });

  it("gives a request again after unpop", () => {
    const { driver, queue } = setUp();
    const head = driver.add([{ gpa: 0x8000, length: 4 }]);
    queue.unpop(queue.pop()!);
    expect(queue.pop()!.head).toBe(head);
  });

  it("does not take requests that are put back for a ring that refills itself", () => {
    const { driver, queue, broken } = setUp();
    driver.add([{ gpa: 0x8000, length: 0x30000 }]);
    // More than the bytes and the revolutions that one burst may have.
    for (let i = 0; i < 10_000; i++) queue.unpop(queue.pop()!);
    expect(broken).toEqual([]);
  });

  it("walks an indirect table when agreed", () => {
    const { memory, driver, queue } = setUp(INDIRECT);
    const table = new RingDriver(memory, 0x10000, SIZE);
    table.setDescriptor(0, 0x8000, 4, VIRTQ_DESC_F_NEXT, 1);
    table.setDescriptor(1, 0x9000, 6, VIRTQ_DESC_F_WRITE);
    driver.setDescriptor(3, 0x10000, 32, VIRTQ_DESC_F_INDIRECT);
    driver.offer(3);
    const request = queue.pop()!;
    expect([request.head, request.readableBytes, request.writableBytes]).toEqual([3, 4, 6]);
  });
});

describe("interrupts", () => {
  it("are wanted once per batch of pushes, and not without one", () => {
    const { driver, queue } = setUp();
    expect(queue.wantsInterrupt()).toBe(false);
    for (let i = 0; i < 3; i++) driver.add([{ gpa: 0x8000, length: 4 }]);
    for (let i = 0; i < 3; i++) queue.push(queue.pop()!, 0);
    expect(queue.wantsInterrupt()).toBe(true);
    expect(queue.wantsInterrupt()).toBe(false);
  });

  it("are suppressed by NO_INTERRUPT", () => {
    const { driver, queue } = setUp();
    driver.availFlags = 1;
    driver.add([{ gpa: 0x8000, length: 4 }]);
    queue.push(queue.pop()!, 0);
    expect(queue.wantsInterrupt()).toBe(false);
  });

  it("with event indexes come when used_event is passed, not before", () => {
    const { driver, queue } = setUp(EVENT_IDX);
    driver.availFlags = 1; // means nothing now
    driver.usedEvent = 1;
    const wanted = [0, 1, 2].map(() => {
      driver.add([{ gpa: 0x8000, length: 4 }]);
      queue.push(queue.pop()!, 0);
      return queue.wantsInterrupt();
    });
    expect(wanted).toEqual([false, true, false]);
  });
});

describe("kicks", () => {
  it("can be declined through the used flags", () => {
    const { driver, queue } = setUp();
    queue.wantKicks(false);
    expect(driver.usedFlags).toBe(1);
    queue.wantKicks(true);
    expect(driver.usedFlags).toBe(0);
  });

  it("with event indexes are asked for at the next entry of an empty ring", () => {
    const { driver, queue } = setUp(EVENT_IDX);
    driver.add([{ gpa: 0x8000, length: 4 }]);
    driver.add([{ gpa: 0x8000, length: 4 }]);
    while (queue.pop()) {}
    expect(driver.availEvent).toBe(2);
    queue.wantKicks(false);
    expect(driver.availEvent).toBe(1);
  });
});

describe("a ring that lies", () => {
  function brokenBy(prepare: (s: ReturnType<typeof setUp>) => void, features = 0n): string[] {
    const s = setUp(features);
    prepare(s);
    expect(s.queue.pop()).toBeUndefined();
    expect(s.queue.pop()).toBeUndefined();
    expect(s.memory.badAccesses).toEqual([]);
    return s.broken;
  }

  it("breaks on a head outside the ring", () => {
    expect(brokenBy((s) => s.driver.offer(SIZE))).toEqual([
      "queue 0: head 8 is outside a ring of 8",
    ]);
  });

  it("breaks on an available index more than a ring ahead", () => {
    const reasons = brokenBy((s) => s.memory.writeU16(s.driver.parts.available + 2, SIZE + 1));
    expect(reasons).toEqual(["queue 0: available index is 9 ahead in a ring of 8"]);
  });

  it("breaks on a loop of descriptors", () => {
    const reasons = brokenBy((s) => {
      s.driver.setDescriptor(0, 0x8000, 1, VIRTQ_DESC_F_NEXT, 1);
      s.driver.setDescriptor(1, 0x8000, 1, VIRTQ_DESC_F_NEXT, 0);
      s.driver.offer(0);
    });
    expect(reasons).toEqual(["queue 0: chain loops or is longer than the ring"]);
  });

  it("accepts a chain as long as the ring", () => {
    const { driver, queue } = setUp();
    driver.add(Array.from({ length: SIZE }, () => ({ gpa: 0x8000, length: 1 })));
    expect(queue.pop()!.readableBytes).toBe(SIZE);
  });

  it("breaks on a next index outside the ring", () => {
    const reasons = brokenBy((s) => {
      s.driver.setDescriptor(0, 0x8000, 1, VIRTQ_DESC_F_NEXT, 100);
      s.driver.offer(0);
    });
    expect(reasons).toEqual(["queue 0: next descriptor 100 is outside 8"]);
  });

  it.each([
    ["past the end", 0x3ffff, 2],
    ["far outside", 0xfffff000, 4096],
    ["wrapping around", 0xffffffff, 0xffffffff],
    ["above 4 GiB", 0x100001000, 16],
  ])("breaks on a buffer %s", (_, gpa, length) => {
    const [reason] = brokenBy((s) => void s.driver.add([{ gpa, length }]));
    expect(reason).toMatch(/^queue 0: buffer at 0x.* is outside memory$/);
  });

  it("breaks on a buffer to read behind one to write", () => {
    const reasons = brokenBy((s) => {
      s.driver.add([
        { gpa: 0x8000, length: 1, write: true },
        { gpa: 0x8000, length: 1 },
      ]);
    });
    expect(reasons).toEqual(["queue 0: buffer to read stands behind a buffer to write"]);
  });

  it("breaks on indirect descriptors that were not agreed, nested, with a next or of odd length", () => {
    const indirect = (length: number, flags = VIRTQ_DESC_F_INDIRECT) => {
      return (s: ReturnType<typeof setUp>) => {
        new RingDriver(s.memory, 0x10000, SIZE).setDescriptor(
          0,
          0x10000,
          16,
          VIRTQ_DESC_F_INDIRECT,
        );
        s.driver.setDescriptor(0, 0x10000, length, flags, 1);
        s.driver.offer(0);
      };
    };
    expect(brokenBy(indirect(16))[0]).toMatch(/were not agreed/);
    expect(brokenBy(indirect(16), INDIRECT)[0]).toMatch(/inside an indirect table/);
    expect(brokenBy(indirect(17), INDIRECT)[0]).toMatch(/indirect table of 17 bytes/);
    expect(brokenBy(indirect(0), INDIRECT)[0]).toMatch(/indirect table of 0 bytes/);
    const flags = VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT;
    expect(brokenBy(indirect(16, flags), INDIRECT)[0]).toMatch(/has a next/);
  });

  it("breaks when it lies outside memory or has an odd size", () => {
    const memory = new FakeMemory(0x10000);
    const reasons: string[] = [];
    const parts = { size: 8, descriptors: 0x1000, available: 0x2000, used: 0x3000 };
    for (const lie of [
      { size: 7 },
      { descriptors: 0xfff1 },
      { available: 0xfffff000 },
      { used: 0xffc0 },
    ]) {
      const queue = new SplitVirtqueue(memory, 2, { ...parts, ...lie }, 0n, (r) => reasons.push(r));
      expect(queue.pop()).toBeUndefined();
    }
    expect(reasons).toEqual([
      "queue 2: size 7 is not a power of two",
      "queue 2: descriptor table at 0xfff1 is outside memory",
      "queue 2: available ring at 0xfffff000 is outside memory",
      "queue 2: used ring at 0xffc0 is outside memory",
    ]);
    expect(memory.badAccesses).toEqual([]);
  });

  it("breaks when the used ring lies over the available index and refills it for ever", () => {
    const memory = new FakeMemory(0x10000);
    const reasons: string[] = [];
    // used.idx is avail.idx: every completion makes one more request available.
    const parts = { size: 8, descriptors: 0x1000, available: 0x2000, used: 0x2000 };
    const queue = new SplitVirtqueue(memory, 0, parts, 0n, (r) => reasons.push(r));
    const driver = new RingDriver(memory, 0x1000, 8);
    for (let i = 0; i < 8; i++) driver.setDescriptor(i, 0x8000, 1, 0);
    memory.writeU16(0x2002, 4);
    let served = 0;
    for (let request = queue.pop(); request; request = queue.pop()) {
      memory.writeU16(0x2002, 4 + ++served);
    }
    expect(reasons).toEqual(["queue 0: ring refills itself"]);
    expect(served).toBe(32);
  });
});

it("a saved ring continues in a new one", () => {
  const { memory, driver, queue } = setUp();
  driver.add([{ gpa: 0x8000, length: 1 }]);
  queue.push(queue.pop()!, 0);
  const head = driver.add([{ gpa: 0x8000, length: 2 }]);
  const record = JSON.parse(JSON.stringify(queue.save()));
  const copy = new SplitVirtqueue(memory, 0, driver.parts, 0n, () => {});
  copy.restore(record);
  expect(copy.wantsInterrupt()).toBe(true);
  const request = copy.pop()!;
  expect(request.head).toBe(head);
  copy.push(request, 0);
  expect(memory.readU16(driver.parts.used + 2)).toBe(2);
});
