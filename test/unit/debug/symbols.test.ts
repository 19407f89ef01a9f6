import { expect, test } from "vitest";
import { parseSystemMap, SymbolTable } from "../../../host-ts/debug/symbols.ts";

const TABLE = new SymbolTable([
  { name: "_stext", address: 0xc1000000, size: 0 },
  { name: "start", address: 0xc1000000, size: 0x40 },
  { name: "panic", address: 0xc1000100, size: 0x20 },
  { name: "_etext", address: 0xc1000200, size: 0 },
  { name: "jiffies", address: 0xc1000300, size: 4 },
]);

test("an address is named by the symbol whose size covers it", () => {
  expect(TABLE.format(0xc1000104)).toBe("panic+0x4/0x20");
  expect(TABLE.format(0xc1000120)).toBeUndefined();
});

test("of two symbols at one address the sized one names it", () => {
  expect(TABLE.format(0xc1000010)).toBe("start+0x10/0x40");
});

test("a low address is read as the alias of a kernel address", () => {
  expect(TABLE.format(0x01000104)).toBe("panic+0x4/0x20");
});

test("code is what lies between _stext and _etext", () => {
  expect([0xc1000104, 0xc1000300, 0xbfffffff].map((at) => TABLE.isCode(at))).toEqual([
    true,
    false,
    false,
  ]);
});

test("a System.map gives each symbol the distance to the next address as its size", () => {
  const map = parseSystemMap(
    "c1000000 T first\nc1000000 t alias\nc1000010 T second\nnonsense\n00000001 A number\n",
  );
  expect(map.addressOf("second")).toBe(0xc1000010);
  expect(map.addressOf("number")).toBeUndefined();
  expect(map.locate(0xc1000008)).toMatchObject({ offset: 8, size: 16 });
});
