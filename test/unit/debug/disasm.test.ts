import { beforeAll, expect, test } from "vitest";
import { type Disassembler, loadDisassembler } from "../../../host-ts/debug/disasm.ts";

let disassembler: Disassembler;
beforeAll(async () => {
  disassembler = await loadDisassembler();
});
const texts = (bytes: number[], bits: 16 | 32 = 32): string[] =>
  disassembler.decode(Uint8Array.from(bytes), 0x1000, { bits }).map((line) => line.text);

test("an immediate has the width of the code segment", () => {
  expect(texts([0xb8, 1, 0, 0, 0])).toEqual(["mov eax, 1"]);
  expect(texts([0xb8, 1, 0], 16)).toEqual(["mov ax, 1"]);
});

test("a byte that starts no instruction is (bad) and decoding goes on behind it", () => {
  expect(texts([0x0f, 0xff, 0xff, 0xff, 0xff]).length).toBeGreaterThan(0);
  expect(texts([0xff, 0xff, 0x90])).toContain("(bad)");
});

test("an instruction cut short by the end of the bytes is left out", () => {
  expect(texts([0x90, 0xb8, 1, 0])).toEqual(["nop"]);
});

test("decoding around an address always has an instruction that starts there", () => {
  const bytes = Uint8Array.of(0xb8, 0x90, 0x90, 0x90, 0x90, 0x90, 0xf4);
  for (let eip = 0x1000; eip < 0x1007; eip++) {
    const lines = disassembler.decodeAround(bytes, 0x1000, eip);
    expect(lines.map((line) => line.address)).toContain(eip);
  }
});
