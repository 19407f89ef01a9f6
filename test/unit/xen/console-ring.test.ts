import { expect, test } from "vitest";
import {
  XENCONS_IN,
  XENCONS_IN_BYTES,
  XENCONS_IN_CONS,
  XENCONS_IN_PROD,
  XENCONS_OUT,
  XENCONS_OUT_BYTES,
  XENCONS_OUT_CONS,
  XENCONS_OUT_PROD,
} from "../../../abi/xen-layout.ts";
import { ConsoleRing } from "../../../host-ts/xen/console-ring.ts";
import { FakeMemory } from "../devices/support.ts";

function setUp() {
  const memory = new FakeMemory(0x1000);
  let text = "";
  let told = 0;
  const print = (bytes: Uint8Array) => {
    text += Buffer.from(bytes).toString("latin1");
  };
  const ring = new ConsoleRing({ memory, gpa: 0, print, notify: () => told++ });
  return { memory, ring, text: () => text, told: () => told };
}

test("output is printed across the ring's end, with indices that run past 2^32", () => {
  const { memory, ring, text, told } = setUp();
  memory.writeU32(XENCONS_OUT_CONS, 0xfffffffe);
  for (const [i, char] of [..."abcd"].entries()) {
    memory.writeU8(XENCONS_OUT + ((0xfffffffe + i) % XENCONS_OUT_BYTES), char.charCodeAt(0));
  }
  memory.writeU32(XENCONS_OUT_PROD, 2);
  ring.serve();
  expect([text(), told(), memory.readU32(XENCONS_OUT_CONS)]).toEqual(["abcd", 1, 2]);
  ring.serve();
  expect(told()).toBe(1);
});

test("indices that lie cost at most one ring of text", () => {
  const { memory, ring, text } = setUp();
  memory.writeU32(XENCONS_OUT_PROD, 0x80000000);
  ring.serve();
  expect(text()).toHaveLength(XENCONS_OUT_BYTES);
  expect(memory.readU32(XENCONS_OUT_CONS)).toBe(0x80000000);
});

test("input that does not fit waits until the guest has taken some", () => {
  const { memory, ring, told } = setUp();
  ring.receive(new Uint8Array(XENCONS_IN_BYTES + 3).map((_, i) => i));
  expect([ring.pendingInput.length, memory.readU32(XENCONS_IN_PROD), told()]).toEqual([3, 1024, 1]);
  memory.writeU32(XENCONS_IN_CONS, 2);
  ring.serve();
  expect([ring.pendingInput.length, memory.readU32(XENCONS_IN_PROD)]).toEqual([1, 1026]);
  expect([memory.readU8(XENCONS_IN), memory.readU8(XENCONS_IN + 1)]).toEqual([0, 1]);
});

test("saved input is restored", () => {
  const { ring } = setUp();
  ring.receive(new Uint8Array(XENCONS_IN_BYTES + 3));
  const other = setUp().ring;
  other.restore(ring.save());
  expect(other.pendingInput.length).toBe(3);
});

test("a ring that goes on in another domain tells of what is unread, in it and behind it, and of nothing else", () => {
  const { memory, ring, told } = setUp();
  ring.goOn([]);
  expect(told()).toBe(0);
  memory.writeU32(XENCONS_IN_PROD, 1);
  ring.goOn([]);
  expect(told()).toBe(1);
  ring.goOn(new Uint8Array(XENCONS_IN_BYTES).fill(7));
  expect([told(), ring.pendingInput.length, memory.readU8(XENCONS_IN + 1)]).toEqual([2, 1, 7]);
});
