/** Start of day: what a new lguest domain finds in memory and in its registers. */

import { expect, test } from "vitest";
import { LHCALL_LGUEST_INIT } from "../../abi/lguest.ts";
import {
  VCPU_CPL,
  VCPU_EFLAGS,
  VCPU_HELD_GDT,
  VCPU_HELD_GDT_COUNT,
  VCPU_PAGING,
} from "../../abi/vcpu.ts";
import { SEG_CS, SEG_FS, SEG_SS } from "../../abi/x86.ts";
import { MemoryBlock } from "../../host-ts/backends/block.ts";
import { ConfigError, ImageError, OutOfMemoryError } from "../../host-ts/base/errors.ts";
import { call, FakeCore } from "../drivers/fake-core.ts";
import { DATA, fillData, TestGuest } from "../drivers/lguest-guest.ts";
import { buildElf } from "../unit/boot/images.ts";

const RAM = 4 << 20;

test("boot_params say lguest, one RAM range, and keep the segments", () => {
  const { memory } = new TestGuest().machine;
  expect(memory.readU8(0x1e8)).toBe(1);
  expect(memory.readU16(0x206)).toBe(0x207);
  expect(memory.readU8(0x210)).toBe(0xff);
  expect(memory.readU8(0x211)).toBe(0x40);
  expect(memory.readU32(0x23c)).toBe(1);
  expect(memory.readU64(0x2d0)).toBe(0n);
  expect(memory.readU64(0x2d8)).toBe(BigInt(RAM));
  expect(memory.readU32(0x2e0)).toBe(1);
  expect(memory.readU32(0x218)).toBe(0);
});

test("the command line lies at 0x1000, in UTF-8, with its end", () => {
  const { memory } = new TestGuest({ commandLine: "console=hvc0 é" }).machine;
  expect(memory.readU32(0x228)).toBe(0x1000);
  expect([...memory.read(0x1000, 16)]).toEqual([...new TextEncoder().encode("console=hvc0 é\0")]);
});

test("the initial RAM disk ends at the end of RAM, rounded to pages", () => {
  const initrd = new Uint8Array(5000).fill(7);
  const { memory } = new TestGuest({ initrd }).machine;
  expect(memory.readU32(0x218)).toBe(RAM - 8192);
  expect(memory.readU32(0x21c)).toBe(8192);
  expect(memory.read(RAM - 8192, 5000)).toEqual(initrd);
});

test("an initial RAM disk that reaches into the kernel is refused, and the guest's memory is given back", () => {
  const fake = new FakeCore();
  expect(() => new TestGuest({ initrd: new Uint8Array(RAM - 0x100000) }, fake)).toThrow(ImageError);
  expect(fake.destroyed).toBe(1);
});

test("a kernel larger than memory is refused by name", () => {
  const kernel = buildElf({ segments: [{ paddr: 16 << 20, bytes: Uint8Array.of(1) }] });
  expect(() => new TestGuest({ kernel })).toThrow(/at least 17 MiB/);
});

test("a process without room is an error of its own", () => {
  const fake = new FakeCore();
  fake.guestPtr = 0;
  expect(() => new TestGuest({}, fake)).toThrow(OutOfMemoryError);
  expect(fake.destroyed).toBe(0);
});

test("the processor starts at ring 1 with flat segments, no stack and paging off", () => {
  const { vcpu } = new TestGuest().machine;
  expect(vcpu.registers()).toMatchObject({
    eax: 0,
    esi: 0,
    esp: 0,
    eip: 0x100000,
    cs: 0x61,
    ss: 0x69,
    ds: 0x69,
    es: 0x69,
    fs: 0,
    gs: 0,
  });
  expect(vcpu.u32(VCPU_EFLAGS)).toBe(0x202);
  expect(vcpu.u32(VCPU_CPL)).toBe(1);
  expect(vcpu.u32(VCPU_PAGING)).toBe(0);
  expect(vcpu.segment(SEG_CS)).toEqual({
    selector: 0x61,
    base: 0,
    limit: 0xffffffff,
    attr: 0xc0bb,
  });
  expect(vcpu.segment(SEG_SS).attr).toBe(0xc0b3);
  expect(vcpu.segment(SEG_FS).attr).toBe(0);
});

test("the descriptor table holds entries 12 and 13 only", () => {
  const { vcpu } = new TestGuest().machine;
  expect(vcpu.u32(VCPU_HELD_GDT_COUNT)).toBe(32);
  const present = Array.from({ length: 32 }, (_, index) => index).filter(
    (index) => vcpu.u32(VCPU_HELD_GDT + 8 * index + 4) !== 0,
  );
  expect(present).toEqual([12, 13]);
});

/** Eight disks, four ports, console and rng: 19 interrupts on the page, 14 on PCI, and there are 15. */
class ManyDevices extends TestGuest {
  constructor(bus: "auto" | "page" | "pci") {
    const idle = { send: () => {}, connect: () => {}, close: () => {} };
    const disk = new MemoryBlock(new Uint8Array(512));
    const fake = new FakeCore();
    const net = Array.from({ length: 4 }, () => ({ backend: idle }));
    const host = { block: Array.from({ length: 8 }, () => disk), net: net.map((p) => p.backend) };
    super({ lguest: { bus }, net }, fake, host);
  }
}

test("devices that the asked bus cannot take are refused before anything runs", () => {
  expect(() => new ManyDevices("page")).toThrow(ConfigError);
  expect(new ManyDevices("pci").death).toBeUndefined();
});

test("with the bus left open a guest that needs the one that is full dies by name", () => {
  for (const [variety, reason] of [
    ["page", /no IRQ left for/],
    ["pci", undefined],
  ] as const) {
    const guest = new ManyDevices("auto");
    fillData(guest, variety);
    guest.fake.script.push(call(LHCALL_LGUEST_INIT, [DATA]));
    guest.run(1);
    guest.run(0);
    if (reason === undefined) expect(guest.death).toBeUndefined();
    else expect(guest.death).toMatch(reason);
  }
});
