import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { unpackKernel } from "../../../host-ts/boot/payload.ts";
import { buildBzImage, buildElf, patch } from "./images.ts";

const elf = buildElf();
const packed = new Uint8Array(gzipSync(elf));

test("a plain file comes back as it is", async () => {
  expect(await unpackKernel(elf)).toBe(elf);
});

test("a gzip file is unpacked, and a damaged one is named", async () => {
  expect(await unpackKernel(packed)).toEqual(elf);
  await expect(unpackKernel(packed.subarray(0, packed.length - 12))).rejects.toThrow(/damaged/);
});

test("the payload of a bzImage is found by its header, which may not point outside", async () => {
  const image = patch(patch(buildBzImage(packed), 0x248, 32, 0), 0x24c, 32, packed.length);
  expect(await unpackKernel(image)).toEqual(elf);
  await expect(unpackKernel(patch(image, 0x24c, 32, 0x7fffffff))).rejects.toThrow(/payload_length/);
  await expect(unpackKernel(patch(image, 0x206, 16, 0x0207))).rejects.toThrow(/version is 0x207/);
});

test.each([
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
])("%s is refused with the program that unpacks it", async (name, magic) => {
  await expect(unpackKernel(Uint8Array.from(magic))).rejects.toThrow(`un${name}`);
});
