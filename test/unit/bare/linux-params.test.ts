/** Linux's boot parameters of a plain machine, field by field. */
import { expect, test } from "vitest";
import { buildLinuxParams } from "../../../host-ts/bare/linux-params.ts";
import { readField } from "../../../host-ts/devices/records.ts";

test("parameters hold the image's header, memory map, RAM disk, command line and the GDT of the entry", () => {
  const gpa = 0x9000;
  const boot = {
    ramBytes: 64 << 20,
    commandLine: "console=ttyS0",
    modules: [{ gpa: 0x1800000, sizeBytes: 12345, name: "" }],
    rsdpGpa: 0xe0000,
  };
  const bytes = buildLinuxParams(gpa, boot, Uint8Array.of(4, 1, 2, 3));
  const u = (offset: number, size: number) => readField(bytes, offset, size);
  expect([u(0x1f1, 4), u(0x70, 8), u(0x210, 1)]).toEqual([0x03020104, 0xe0000, 0xff]);
  expect([u(0x218, 4), u(0x21c, 4)]).toEqual([0x1800000, 12345]);
  const text = bytes.subarray(u(0x228, 4) - gpa);
  expect(Buffer.from(text).toString("latin1")).toBe("console=ttyS0\0");
  const ranges = Array.from({ length: u(0x1e8, 1) }, (_, index) => {
    const at = 0x2d0 + 20 * index;
    return [u(at, 8), u(at + 8, 8), u(at + 16, 4)];
  });
  expect(ranges).toEqual([
    [0, 0x9fc00, 1],
    [0x9fc00, 0x60400, 2],
    [0x100000, (64 << 20) - 0x100000, 1],
  ]);
  const gdt = Array.from({ length: 8 }, (_, index) => u(0x1000 + 4 * index, 4));
  expect(gdt).toEqual([0, 0, 0, 0, 0xffff, 0x00cf9b00, 0xffff, 0x00cf9300]);
});
