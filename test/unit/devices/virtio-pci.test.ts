import { describe, expect, it } from "vitest";
import { MemoryBlock } from "../../../host-ts/backends/block.ts";
import { VirtioBlock } from "../../../host-ts/devices/virtio-block.ts";
import { VirtioConsole } from "../../../host-ts/devices/virtio-console.ts";
import { VirtioPciBus } from "../../../host-ts/devices/virtio-pci.ts";
import { VirtioRng } from "../../../host-ts/devices/virtio-rng.ts";
import { BufferConsole } from "../../drivers/buffer-console.ts";
import { bytesOf, FakeLine, FakeMemory, fixedEntropy, RingDriver } from "./support.ts";

const RAM = 1 << 20;
const MMIO = RAM + 0x100000;
const BAR = MMIO;

function setUp(memory = new FakeMemory(RAM)) {
  const output = new BufferConsole({ columns: 80, rows: 25 });
  const lines = Array.from({ length: 16 }, () => new FakeLine());
  const resets: string[] = [];
  const bus = new VirtioPciBus({
    memory,
    mmioStart: MMIO,
    mmioEnd: MMIO + 0x100000,
    irq: (n) => lines[n]!,
    onNeedsReset: (device, reason) => resets.push(`${device}: ${reason}`),
  });
  const console = new VirtioConsole({ backend: output });
  bus.add(console);
  bus.add(new VirtioBlock({ name: "block0", backend: new MemoryBlock(new Uint8Array(4096)) }));
  bus.add(new VirtioRng({ entropy: fixedEntropy(1) }));
  const { pci } = bus;
  const address = (device: number, offset: number) => {
    pci.portWrite(0xcf8, 4, (0x80000000 | (device << 11) | (offset & 0xfc)) >>> 0);
    return 0xcfc + (offset & 3);
  };
  const readConfig = (device: number, offset: number, size: number) =>
    pci.portRead(address(device, offset), size);
  const writeConfig = (device: number, offset: number, size: number, value: number) =>
    pci.portWrite(address(device, offset), size, value);
  return { memory, output, lines, resets, bus, pci, console, readConfig, writeConfig };
}
type Machine = ReturnType<typeof setUp>;

/** What a 1.0 driver does with device 1, up to DRIVER_OK. */
function drive({ pci, memory }: Machine, features = [0, 1]): RingDriver[] {
  const write = (at: number, size: number, value: number) => pci.mmioWrite(BAR + at, size, value);
  write(20, 1, 0);
  write(20, 1, 1);
  write(20, 1, 3);
  features.forEach((word, select) => {
    write(8, 4, select);
    write(12, 4, word);
  });
  write(20, 1, 0xb);
  const drivers = [0, 1].map((queue) => new RingDriver(memory, 0x4000 * (queue + 1), 16));
  drivers.forEach(({ parts }, queue) => {
    write(22, 2, queue);
    write(24, 2, 16);
    write(32, 4, parts.descriptors);
    write(36, 4, 0);
    write(40, 4, parts.available);
    write(44, 4, 0);
    write(48, 4, parts.used);
    write(52, 4, 0);
    write(28, 2, 1);
  });
  write(20, 1, 0xf);
  return drivers;
}

describe("configuration mechanism #1", () => {
  it("reads its address latch back, also when probed by bytes", () => {
    const { pci } = setUp();
    pci.portWrite(0xcfb, 1, 0x01);
    expect(pci.portRead(0xcfb, 1)).toBe(0x01);
    pci.portWrite(0xcf8, 4, 0x80000000);
    expect(pci.portRead(0xcf8, 4)).toBe(0x80000000);
    expect(pci.portRead(0xcfa, 2)).toBe(0x8000);
  });

  it("shows a host bridge at 0, the devices after it, and nothing else", () => {
    const { pci, readConfig } = setUp();
    expect(readConfig(0, 0x0a, 2)).toBe(0x0600);
    expect([1, 2, 3, 4].map((n) => readConfig(n, 0, 4))).toEqual([
      0x10431af4, 0x10421af4, 0x10441af4, 0xffffffff,
    ]);
    expect([1, 2, 3].map((n) => readConfig(n, 0x0a, 2))).toEqual([0x0700, 0x0180, 0xff00]);
    expect([1, 2, 3].map((n) => readConfig(n, 0x3c, 1))).toEqual([1, 2, 3]);
    pci.portWrite(0xcf8, 4, 0x80000900); // function 1 of device 1
    expect(pci.portRead(0xcfc, 4)).toBe(0xffffffff);
    pci.portWrite(0xcf8, 4, 0x80010800); // bus 1
    expect(pci.portRead(0xcfc, 2)).toBe(0xffff);
    pci.portWrite(0xcf8, 4, 0x00000800); // not enabled
    expect(pci.portRead(0xcfc, 1)).toBe(0xff);
  });

  it("sizes and moves a BAR", () => {
    const { pci, readConfig, writeConfig } = setUp();
    expect(readConfig(1, 0x10, 4)).toBe(MMIO);
    writeConfig(1, 0x10, 4, 0xffffffff);
    expect(readConfig(1, 0x10, 4)).toBe(0xffffff80);
    writeConfig(1, 0x10, 4, MMIO + 0x5000);
    expect(pci.mmioRead(MMIO + 0x5000 + 18, 2)).toBe(4);
    expect(pci.mmioRead(MMIO + 18, 2)).toBe(0xffff);
  });

  it("lists the capabilities where lguest's Launcher has them", () => {
    const { readConfig } = setUp();
    const list = (device: number) => {
      const found: number[][] = [];
      for (let at = readConfig(device, 0x34, 1); at !== 0; at = readConfig(device, at + 1, 1)) {
        found.push([
          at,
          readConfig(device, at + 3, 1),
          readConfig(device, at + 8, 4),
          readConfig(device, at + 12, 4),
        ]);
      }
      return found;
    };
    expect(list(1)).toEqual([
      [0x40, 1, 0, 56],
      [0x50, 2, 56, 2],
      [0x64, 3, 58, 1],
      [0x84, 5, 0, 0],
      [0x74, 4, 60, 12],
    ]);
    expect(list(3).map(([at]) => at)).toEqual([0x40, 0x50, 0x64, 0x84]);
  });

  it("keeps read-only registers as they are", () => {
    const { readConfig, writeConfig } = setUp();
    writeConfig(1, 0, 4, 0x12345678);
    writeConfig(1, 0x44, 4, 0xffffffff);
    expect([readConfig(1, 0, 4), readConfig(1, 0x44, 4)]).toEqual([0x10431af4, 0]);
  });
});

it("the early console prints through ports alone", () => {
  const { output, writeConfig, readConfig } = setUp();
  for (const c of "Linux") {
    writeConfig(1, 0x88, 1, 0);
    writeConfig(1, 0x90, 4, 4);
    writeConfig(1, 0x8c, 4, 68);
    writeConfig(1, 0x94, 4, c.charCodeAt(0));
  }
  expect(output.text).toBe("Linux");
  writeConfig(1, 0x8c, 4, 60);
  expect(readConfig(1, 0x94, 4)).toBe(80 | (25 << 16));
  writeConfig(1, 0x8c, 4, 0xfffffffe);
  expect(readConfig(1, 0x94, 4)).toBe(0);
});

describe("the 1.0 transport", () => {
  it("offers VERSION_1 and the device's features, in words", () => {
    const { pci, console } = setUp();
    const word = (select: number) => {
      pci.mmioWrite(BAR, 4, select);
      return pci.mmioRead(BAR + 4, 4);
    };
    expect([word(0), word(1), word(2)]).toEqual([Number(console.features), 1, 0]);
  });

  it("refuses FEATURES_OK without VERSION_1 or with features not offered", () => {
    for (const words of [
      [0, 0],
      [0, 3],
      [0x80, 1],
    ]) {
      const machine = setUp();
      drive(machine, words);
      expect(machine.pci.mmioRead(BAR + 20, 1) & 8).toBe(0);
    }
  });

  it("moves data, sets ISR before the line, and clears both when the ISR is read", () => {
    const machine = setUp();
    const { pci, memory, output, lines } = machine;
    const drivers = drive(machine);
    memory.write(0x20000, bytesOf("out"));
    drivers[1]!.add([{ gpa: 0x20000, length: 3 }]);
    pci.mmioWrite(BAR + 56, 2, 1);
    expect(output.text).toBe("out");
    expect(lines[1]!.level).toBe(true);
    expect(pci.mmioRead(BAR + 58, 1)).toBe(1);
    expect(lines[1]!.level).toBe(false);
    expect(pci.mmioRead(BAR + 58, 1)).toBe(0);
  });

  it("serves what was made available before DRIVER_OK", () => {
    const machine = setUp();
    const { memory, output, pci } = machine;
    memory.write(0x20000, bytesOf("x"));
    const early = new RingDriver(memory, 0x8000, 16);
    early.add([{ gpa: 0x20000, length: 1 }]);
    drive(machine);
    expect(output.text).toBe("x");
    expect(pci.mmioRead(BAR + 58, 1)).toBe(1);
  });

  it("announces a new window size as a configuration change to a driver that takes sizes so", () => {
    const machine = setUp();
    const { pci, console } = machine;
    drive(machine, [1, 1]);
    const generation = pci.mmioRead(BAR + 21, 1);
    console.receive({ kind: "resize", device: "console", data: [100, 40] });
    expect(pci.mmioRead(BAR + 58, 1)).toBe(2);
    expect(pci.mmioRead(BAR + 21, 1)).not.toBe(generation);
    expect(pci.mmioRead(BAR + 60, 2)).toBe(100);
  });

  it("says NEEDS_RESET when a ring lies, and is well again after a reset", () => {
    const machine = setUp();
    const { pci, resets, output, memory } = machine;
    drive(machine)[1]!.offer(99);
    pci.mmioWrite(BAR + 56, 2, 1);
    expect(resets).toEqual(["console: queue 1: head 99 is outside a ring of 16"]);
    expect(pci.mmioRead(BAR + 20, 1)).toBe(0x4f);
    expect(pci.mmioRead(BAR + 58, 1)).toBe(2);
    memory.fill(0x4000, 0x8000, 0);
    const drivers = drive(machine);
    memory.write(0x20000, bytesOf("y"));
    drivers[1]!.add([{ gpa: 0x20000, length: 1 }]);
    pci.mmioWrite(BAR + 56, 2, 1);
    expect(output.text).toBe("y");
  });

  it("takes registers in any width", () => {
    const { pci } = setUp();
    pci.mmioWrite(BAR + 22, 1, 1);
    for (let i = 0; i < 4; i++) pci.mmioWrite(BAR + 32 + i, 1, 0x10 + i);
    expect(pci.mmioRead(BAR + 32, 4)).toBe(0x13121110);
    expect(pci.mmioRead(BAR + 22, 4)).toBe(0x01000001);
    pci.mmioWrite(BAR + 20, 1, 0);
    expect(pci.mmioRead(BAR + 32, 4)).toBe(0);
  });

  it("continues after save and restore in a new bus", () => {
    const machine = setUp();
    const drivers = drive(machine);
    const state = JSON.parse(JSON.stringify(machine.bus.save()));
    const copy = setUp(machine.memory);
    copy.bus.restore(state);
    machine.memory.write(0x20000, bytesOf("later"));
    drivers[1]!.add([{ gpa: 0x20000, length: 5 }]);
    copy.pci.mmioWrite(BAR + 56, 2, 1);
    expect([copy.output.text, machine.output.text]).toEqual(["later", ""]);
    expect(copy.bus.save()).not.toEqual(state);
  });
});

it("refuses devices past the last IRQ", () => {
  const { bus } = setUp();
  const rng = () => new VirtioRng({ entropy: fixedEntropy(0) });
  for (let i = 4; i <= 15; i++) bus.add(rng());
  expect(() => bus.add(rng())).toThrow(/no IRQ left/);
});
