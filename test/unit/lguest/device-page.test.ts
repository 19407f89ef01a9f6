import { describe, expect, it } from "vitest";
import { MemoryBlock } from "../../../host-ts/backends/block.ts";
import { VirtioBlock } from "../../../host-ts/devices/virtio-block.ts";
import { VirtioConsole } from "../../../host-ts/devices/virtio-console.ts";
import { VirtioRng } from "../../../host-ts/devices/virtio-rng.ts";
import { DevicePageBus } from "../../../host-ts/lguest/device-page.ts";
import { BufferConsole } from "../../drivers/buffer-console.ts";
import { bytesOf, FakeLine, FakeMemory, fixedEntropy, RingDriver } from "../devices/support.ts";

const RAM = 1 << 20;

function setUp(memory = new FakeMemory(RAM, 256 * 4096)) {
  const lines = Array.from({ length: 16 }, () => new FakeLine());
  const deaths: string[] = [];
  const bus = new DevicePageBus({
    memory,
    irq: (n) => lines[n]!,
    kill: (reason) => deaths.push(reason),
  });
  const output = new BufferConsole();
  const console = new VirtioConsole({ backend: output });
  bus.add(new VirtioBlock({ name: "block0", backend: new MemoryBlock(new Uint8Array(4096)) }));
  bus.add(new VirtioRng({ entropy: fixedEntropy(9) }));
  bus.add(console);
  return { memory, lines, deaths, bus, output, console };
}
type Machine = ReturnType<typeof setUp>;

/** Where the packed descriptors begin, by walking them as a guest does. */
function descriptors(memory: FakeMemory): number[] {
  const found: number[] = [];
  for (let at = RAM; memory.readU8(at) !== 0; ) {
    found.push(at);
    const [, queues = 0, features = 0, config = 0] = memory.read(at, 4);
    at += 5 + 8 * queues + 2 * features + config;
  }
  return found;
}

/** Settles the console's features as a guest does: reset, status 1, 3, accepted features, NOTIFY, status 7. */
function settle({ memory, bus }: Machine, accepted = 0): number {
  const at = descriptors(memory)[2]!;
  memory.writeU8(at + 4, 0);
  bus.notify(at);
  memory.writeU8(at + 4, 3);
  memory.writeU32(at + 5 + 16 + 4, accepted);
  bus.notify(at);
  memory.writeU8(at + 4, 7);
  return at;
}

describe("the descriptor page", () => {
  it("packs descriptors back to back, with rings of three pages and one IRQ per queue", () => {
    const { memory, bus } = setUp();
    bus.publish();
    const [block, rng, console] = descriptors(memory) as [number, number, number];
    expect([block, rng, console].map((at) => memory.readU8(at))).toEqual([2, 4, 3]);
    expect(rng - block).toBe(5 + 8 + 2 * 4 + 24);
    const queue = (at: number) => [
      memory.readU16(at),
      memory.readU16(at + 2),
      memory.readU32(at + 4),
    ];
    expect(queue(block + 5)).toEqual([256, 1, (RAM + 0x1000) >> 12]);
    expect(queue(rng + 5)).toEqual([256, 2, (RAM + 0x4000) >> 12]);
    expect(queue(console + 5)).toEqual([256, 3, (RAM + 0x7000) >> 12]);
    expect(queue(console + 13)).toEqual([256, 4, (RAM + 0xa000) >> 12]);
    expect(memory.readU32(block + 13)).toBe(0x30000000 | (1 << 9) | (1 << 6) | (1 << 2));
    expect(memory.readU32(block + 13 + 8)).toBe(8);
  });

  it("refuses devices that do not fit, by name", () => {
    const { bus } = setUp(new FakeMemory(RAM, 32 * 4096));
    const rng = (name: string) => new VirtioRng({ name, entropy: fixedEntropy(0) });
    const fill = () => {
      for (let i = 0; i < 20; i++) bus.add(rng(`rng${i}`));
    };
    expect(fill).toThrow(/device pages end before the rings of rng/);
    const roomy = setUp().bus;
    expect(() => {
      for (let i = 0; i < 20; i++) roomy.add(rng(`rng${i}`));
    }).toThrow(/no IRQ left for rng11/);
  });
});

describe("NOTIFY", () => {
  it("of a ring serves it, and raises the IRQ of that queue", () => {
    const machine = setUp();
    const { memory, bus, lines, output } = machine;
    bus.publish();
    settle(machine);
    const ring = RAM + 0xa000;
    const driver = new RingDriver(memory, ring, 256);
    memory.write(0x2000, bytesOf("hello"));
    driver.add([{ gpa: 0x2000, length: 5 }]);
    expect(bus.notify(ring)).toEqual({ kind: "kick", device: "console", queue: 1 });
    expect(output.text).toBe("hello");
    expect(lines.map((line) => line.raised).slice(0, 6)).toEqual([0, 0, 0, 0, 1, 0]);
  });

  it("of a ring before the features are settled is bad", () => {
    const { bus } = setUp();
    bus.publish();
    const reason = "NOTIFY of console before its features are settled";
    expect(bus.notify(RAM + 0xa000)).toEqual({ kind: "bad", reason });
  });

  it("settles features once; twice without a reset is bad", () => {
    const machine = setUp();
    machine.bus.publish();
    const at = settle(machine);
    expect(machine.bus.notify(at)).toMatchObject({ kind: "bad" });
    settle(machine);
  });

  it("of status 0 clears accepted features and rings, and forgets their indexes", () => {
    const machine = setUp();
    const { memory, bus, output } = machine;
    bus.publish();
    for (let round = 0; round < 2; round++) {
      const at = settle(machine, 1 << 28);
      const driver = new RingDriver(memory, RAM + 0xa000, 256);
      memory.write(0x2000, bytesOf("ab"));
      driver.add([{ gpa: 0x2000, length: 2 }]);
      bus.notify(RAM + 0xa000);
      memory.writeU8(at + 4, 0);
      expect(bus.notify(at)).toEqual({ kind: "status", device: "console", status: 0 });
      expect(memory.readU32(at + 5 + 16 + 4)).toBe(0);
      expect(memory.read(RAM + 0xa000, 0x3000).every((byte) => byte === 0)).toBe(true);
    }
    expect(output.text).toBe("abab");
  });

  it("of status FAILED stops the device", () => {
    const machine = setUp();
    machine.bus.publish();
    const at = settle(machine);
    machine.memory.writeU8(at + 4, 0x83);
    expect(machine.bus.notify(at)).toMatchObject({ kind: "status", status: 0x83 });
    expect(machine.bus.notify(RAM + 0xa000).kind).toBe("bad");
  });

  it("of any other address is early console text, or bad", () => {
    const { memory, bus } = setUp();
    bus.publish();
    memory.write(0x3000, bytesOf("Linux version\0rest"));
    expect(bus.notify(0x3000)).toEqual({ kind: "early-console", text: "Linux version" });
    expect(bus.notify(0)).toMatchObject({ kind: "bad" });
    expect(bus.notify(0xfffff000)).toEqual({ kind: "bad", reason: "Bad NOTIFY 0xfffff000" });
    expect(memory.badAccesses).toEqual([]);
  });

  it("of a ring that lies kills the guest by name", () => {
    const machine = setUp();
    machine.bus.publish();
    settle(machine);
    new RingDriver(machine.memory, RAM + 0xa000, 256).offer(256);
    machine.bus.notify(RAM + 0xa000);
    expect(machine.deaths).toEqual(["console: queue 1: head 256 is outside a ring of 256"]);
  });
});

it("a saved bus continues in a new one", () => {
  const machine = setUp();
  machine.bus.publish();
  settle(machine);
  const state = JSON.parse(JSON.stringify(machine.bus.save()));
  const copy = setUp(machine.memory);
  copy.bus.restore(state);
  machine.memory.write(0x2000, bytesOf("z"));
  new RingDriver(machine.memory, RAM + 0xa000, 256).add([{ gpa: 0x2000, length: 1 }]);
  copy.bus.notify(RAM + 0xa000);
  expect(copy.output.text).toBe("z");
});
