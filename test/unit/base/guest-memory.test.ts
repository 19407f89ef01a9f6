/** Bounds of guest memory: exactly as strict as needed. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameMemory } from "../../../host-ts/base/guest-memory.ts";
import { FakeCore } from "../../drivers/fake-core.ts";

const RAM = 0x10000;

function memory(): { memory: FrameMemory; bad: string[]; fake: FakeCore } {
  const fake = new FakeCore();
  const guest = fake.core.exports.guestCreate(RAM / 4096);
  const bad: string[] = [];
  return {
    memory: new FrameMemory(fake.core, guest, RAM, (kind, gpa, length) =>
      bad.push(`${kind} ${gpa} ${length}`),
    ),
    bad,
    fake,
  };
}

test("what is written is read back across pages that are no neighbours", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: RAM }),
      fc.uint8Array({ minLength: 0, maxLength: 9000 }),
      (gpa, bytes) => {
        const { memory: m, bad } = memory();
        const fits = bytes.length === 0 || gpa + bytes.length <= RAM;
        m.write(gpa, bytes);
        expect(bad.length).toBe(fits ? 0 : 1);
        if (fits) expect(m.read(gpa, bytes.length)).toEqual(bytes);
      },
    ),
    { numRuns: 60 },
  );
});

test("the last byte is good and the one after it is not", () => {
  const { memory: m, bad } = memory();
  m.writeU8(RAM - 1, 0x5a);
  expect(m.readU8(RAM - 1)).toBe(0x5a);
  expect(bad).toEqual([]);
  expect(m.readU8(RAM)).toBe(0);
  expect(m.readU32(RAM - 3)).toBe(0);
  m.writeU32(RAM - 3, 0xffffffff);
  expect(bad).toEqual([`read ${RAM} 1`, `read ${RAM - 3} 4`, `write ${RAM - 3} 4`]);
  expect(m.readU8(RAM - 3)).toBe(0);
});

test("a length of zero is fine anywhere and touches nothing", () => {
  const { memory: m, bad } = memory();
  m.write(0xffffffff, new Uint8Array(0));
  m.fill(0xffffffff, 0, 1);
  expect(m.read(0xffffffff, 0)).toEqual(new Uint8Array(0));
  expect(m.isRange(0xffffffff, 0)).toBe(true);
  expect(bad).toEqual([]);
});

test("an address plus length past 4 GiB does not wrap around", () => {
  const { memory: m, bad } = memory();
  expect(m.isRange(0xfffffffc, 8)).toBe(false);
  expect(m.readU64(0xfffffffc)).toBe(0n);
  expect(bad).toEqual(["read 4294967292 8"]);
});

test("a bad read of a huge length gives no huge array", () => {
  const { memory: m, bad } = memory();
  expect(m.read(0, 0xffffffff).length).toBe(4096);
  expect(bad.length).toBe(1);
});

test("numbers are little-endian, also across a page", () => {
  const { memory: m } = memory();
  m.writeU32(0xffe, 0x12345678);
  expect([...m.read(0xffe, 4)]).toEqual([0x78, 0x56, 0x34, 0x12]);
  expect(m.readU16(0xfff)).toBe(0x3456);
  m.writeU64(0x1ffc, 0x1122334455667788n);
  expect(m.readU64(0x1ffc)).toBe(0x1122334455667788n);
});

test("a string ends at its NUL, at the limit, or at the end of memory", () => {
  const { memory: m, bad } = memory();
  m.write(RAM - 4, Uint8Array.of(65, 66, 67, 68));
  expect(m.readCString(RAM - 4, 100)).toBe("ABCD");
  m.write(0, Uint8Array.of(65, 0, 67));
  expect(m.readCString(0, 100)).toBe("A");
  expect(m.readCString(2, 1)).toBe("C");
  expect(bad).toEqual([]);
  expect(m.readCString(RAM, 10)).toBe("");
  expect(bad).toEqual([`read ${RAM} 1`]);
});

test("an exhausted pool is no bad address: it is named as what it is, once per access", () => {
  const { memory: m, bad, fake } = memory();
  fake.isExhausted = true;
  m.write(0x2000, new Uint8Array(10_000));
  expect(m.readU32(0x5000)).toBe(0);
  expect(bad).toEqual(["exhausted 8192 4096", "exhausted 20480 4"]);
});
