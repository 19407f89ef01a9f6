import { describe, expect, it } from "vitest";
import { MemoryBlock, ReadOnlyBlock } from "../../../host-ts/backends/block.ts";
import { NetHub } from "../../../host-ts/backends/net-hub.ts";
import type { BlockBackend, HostInput, VirtioDevice } from "../../../host-ts/base/ports.ts";
import { VirtioBlock } from "../../../host-ts/devices/virtio-block.ts";
import { VirtioConsole } from "../../../host-ts/devices/virtio-console.ts";
import { VirtioNet } from "../../../host-ts/devices/virtio-net.ts";
import { VirtioRng } from "../../../host-ts/devices/virtio-rng.ts";
import { BufferConsole } from "../../drivers/buffer-console.ts";
import { bytesOf, fixedEntropy, type Rig, rig, textOf } from "./support.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const VERSION_1 = 1n << 32n;
const F_SIZE = 1n;
const SIZE = { columns: 80, rows: 25 };

describe("virtio-console", () => {
  const setUp = (size?: { columns: number; rows: number }) => {
    const backend = new BufferConsole(size);
    const device = new VirtioConsole({ backend });
    return { backend, device, r: rig(device) };
  };
  const type = (device: VirtioDevice, text: string) =>
    device.receive({ kind: "console", device: "console", data: bytesOf(text) });

  it("prints every chain of the transmit queue and interrupts once", () => {
    const { backend, device, r } = setUp();
    r.memory.write(r.buffers, bytesOf("hello world\n"));
    r.drivers[1]!.add([{ gpa: r.buffers, length: 6 }]);
    r.drivers[1]!.add([{ gpa: r.buffers + 6, length: 6 }]);
    device.notify(1);
    expect(backend.text).toBe("hello world\n");
    expect(r.interrupts).toEqual([0, 1]);
    expect(r.drivers[1]!.takeUsed().map(([, length]) => length)).toEqual([0, 0]);
  });

  it("keeps input in order until the guest has buffers", () => {
    const { device, r } = setUp();
    type(device, "one ");
    type(device, "two three");
    expect(device.pendingInputBytes).toBe(13);
    r.drivers[0]!.add([{ gpa: r.buffers, length: 6, write: true }]);
    device.notify(0);
    expect(textOf(r.memory.read(r.buffers, 6))).toBe("one tw");
    r.drivers[0]!.add([{ gpa: r.buffers, length: 64, write: true }]);
    device.notify(0);
    expect(textOf(r.memory.read(r.buffers, 7))).toBe("o three");
    expect(r.drivers[0]!.takeUsed().map(([, length]) => length)).toEqual([6, 7]);
    expect(device.pendingInputBytes).toBe(0);
  });

  it("prints what is stored to emerg_wr, without a driver", () => {
    const backend = new BufferConsole();
    const device = new VirtioConsole({ backend });
    for (const c of "hi") device.writeConfig(8, 4, c.charCodeAt(0));
    expect(backend.text).toBe("hi");
  });

  it("offers its size when it has one", () => {
    expect(setUp().device.features & 3n).toBe(0n);
    expect(setUp().device.queueSizes).toHaveLength(2);
    expect(setUp(SIZE).device.features & 3n).toBe(3n);
  });

  it("announces a new size to a driver without control queues, and to nobody who did not ask", () => {
    for (const [features, changes] of [
      [F_SIZE, 1],
      [0n, 0],
    ] as const) {
      const device = new VirtioConsole({ backend: new BufferConsole(SIZE) });
      const r = rig(device, features);
      device.receive({ kind: "resize", device: "console", data: [132, 50] });
      expect([device.readConfig(0, 2), device.readConfig(2, 2)]).toEqual([132, 50]);
      expect(r.configChanges).toBe(changes);
    }
  });

  describe("with control queues", () => {
    /** Control messages that the device sent, as [event, value, ...rest]. */
    function controlled() {
      const { device, r } = setUp(SIZE);
      const gpas = Array.from({ length: 8 }, (_, i) => r.buffers + 64 * i);
      for (const gpa of gpas) r.drivers[2]!.add([{ gpa, length: 32, write: true }]);
      const say = (event: number, value: number, port = 0) => {
        const message = new DataView(new ArrayBuffer(8));
        message.setUint32(0, port, true);
        message.setUint16(4, event, true);
        message.setUint16(6, value, true);
        r.memory.write(r.buffers + 0x1000, new Uint8Array(message.buffer));
        r.drivers[3]!.add([{ gpa: r.buffers + 0x1000, length: 8 }]);
        device.notify(3);
      };
      const heard = () =>
        r.drivers[2]!.takeUsed().map(([, length]) => {
          const gpa = gpas.shift()!;
          const at = Array.from({ length: length / 2 }, (_, i) => r.memory.readU16(gpa + 2 * i));
          return at.slice(2);
        });
      return { device, r, say, heard };
    }

    it("adds its port, says that it is the console, and tells its size, rows first", () => {
      const { device, say, heard } = controlled();
      say(0, 1);
      expect(heard()).toEqual([[1, 1]]);
      say(3, 1);
      expect(heard()).toEqual([
        [4, 1],
        [6, 1],
        [5, 0, 25, 80],
      ]);
      device.receive({ kind: "resize", device: "console", data: [132, 50] });
      expect(heard()).toEqual([[5, 0, 50, 132]]);
    });

    it("tells the latest size to a driver that comes later", () => {
      const { device, say, heard, r } = controlled();
      device.receive({ kind: "resize", device: "console", data: [132, 50] });
      expect([heard(), r.configChanges]).toEqual([[], 0]);
      say(3, 1);
      expect(heard().at(-1)).toEqual([5, 0, 50, 132]);
    });

    it("keeps input until the driver has opened the port", () => {
      const { device, r, say } = controlled();
      r.drivers[0]!.add([{ gpa: r.buffers + 0x2000, length: 16, write: true }]);
      type(device, "early");
      expect(device.pendingInputBytes).toBe(5);
      say(6, 1);
      expect(textOf(r.memory.read(r.buffers + 0x2000, 5))).toBe("early");
    });

    it("survives messages about other ports, unknown events and short ones", () => {
      const { device, r, say, heard } = controlled();
      say(3, 1, 7);
      say(99, 1);
      say(0, 0);
      r.drivers[3]!.add([{ gpa: r.buffers, length: 3 }]);
      device.notify(3);
      for (let i = 0; i < 200; i++) say(0, 1);
      expect([heard().length, r.broken]).toEqual([8, []]);
    });
  });

  it("carries waiting input and size through save and restore", () => {
    const { device } = setUp({ columns: 80, rows: 25 });
    type(device, "ab");
    device.receive({ kind: "resize", device: "console", data: [100, 30] });
    const copy = new VirtioConsole({ backend: new BufferConsole({ columns: 80, rows: 25 }) });
    copy.restore(JSON.parse(JSON.stringify(device.save())));
    expect([copy.pendingInputBytes, copy.readConfig(0, 2)]).toEqual([2, 100]);
  });
});

describe("virtio-block", () => {
  const SECTORS = 64;
  const setUp = (wrap: (disk: MemoryBlock) => BlockBackend = (disk) => disk) => {
    const bytes = Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i >> 9) ^ i);
    const disk = new MemoryBlock(bytes);
    const device = new VirtioBlock({ name: "block0", backend: wrap(disk), serial: "serial" });
    return { bytes, device, r: rig(device) };
  };

  /** One request with its data in two buffers; returns status byte and used length. */
  function ask(
    device: VirtioBlock,
    r: Rig,
    type: number,
    sector: bigint,
    dataBytes: number,
    isWrite: boolean,
  ): [number, number] {
    const header = r.buffers;
    const data = r.buffers + 0x1000;
    const half = dataBytes >> 1;
    const status = r.buffers + 16;
    r.memory.writeU32(header, type);
    r.memory.writeU64(header + 8, sector);
    r.memory.writeU8(status, 0xee);
    r.drivers[0]!.add([
      { gpa: header, length: 16 },
      { gpa: data, length: half, write: isWrite },
      { gpa: data + half, length: dataBytes - half, write: isWrite },
      { gpa: status, length: 1, write: true },
    ]);
    device.notify(0);
    return [r.memory.readU8(status), r.drivers[0]!.takeUsed()[0]?.[1] ?? -1];
  }

  it("reads and writes sectors across buffer borders", () => {
    const { bytes, device, r } = setUp();
    expect(ask(device, r, 0, 3n, 1024, true)).toEqual([0, 1025]);
    expect(r.memory.read(r.buffers + 0x1000, 1024)).toEqual(bytes.slice(1536, 2560));
    r.memory.fill(r.buffers + 0x1000, 1024, 0x5a);
    expect(ask(device, r, 1, 62n, 1024, false)).toEqual([0, 1]);
    expect(bytes.slice(62 * 512).every((byte) => byte === 0x5a)).toBe(true);
    expect(r.interrupts[0]).toBe(2);
  });

  it.each([
    ["past the end", 0, 63n, 1024, true],
    ["far past the end", 0, 0xffffffffffffffffn, 512, true],
    ["of a part sector", 0, 0n, 500, true],
    ["of a write past the end", 1, 64n, 512, false],
  ])("answers IOERR to a request %s", (_, type, sector, length, isWrite) => {
    const { device, r } = setUp();
    expect(ask(device, r, type, sector, length, isWrite)).toEqual([1, 1]);
    expect(device.metrics.errors).toBe(1);
  });

  it("answers UNSUPP to types it does not know, SCSI among them", () => {
    const { device, r } = setUp();
    expect(ask(device, r, 2, 0n, 512, true)[0]).toBe(2);
    expect(ask(device, r, 0x80000001, 0n, 512, false)[0]).toBe(2);
  });

  it("flushes the backend on FLUSH and names itself on GET_ID", () => {
    let flushes = 0;
    const { device, r } = setUp((disk) => {
      disk.flush = () => void flushes++;
      return disk;
    });
    expect(ask(device, r, 4, 0n, 0, false)[0]).toBe(0);
    expect(flushes).toBe(1);
    expect(ask(device, r, 8, 0n, 20, true)[0]).toBe(0);
    expect(textOf(r.memory.read(r.buffers + 0x1000, 7))).toBe("serial\0");
  });

  it("turns what a backend throws into IOERR", () => {
    const { device, r } = setUp((disk) => {
      disk.read = () => {
        throw new Error("medium");
      };
      return disk;
    });
    expect(ask(device, r, 0, 0n, 512, true)).toEqual([1, 1]);
  });

  it("offers RO on a read-only backend and refuses writes all the same", () => {
    const { bytes, device, r } = setUp((disk) => new ReadOnlyBlock(disk));
    expect(device.features & (1n << 5n)).not.toBe(0n);
    const before = bytes.slice();
    expect(ask(device, r, 1, 0n, 512, false)[0]).toBe(1);
    expect(bytes).toEqual(before);
  });

  it("breaks the queue on a request without header or status", () => {
    const { device, r } = setUp();
    r.drivers[0]!.add([{ gpa: r.buffers, length: 16 }]);
    device.notify(0);
    expect(r.broken).toEqual(["queue 0: block request without room for its header and status"]);
  });

  it("tells capacity, seg_max and block size", () => {
    const { device } = setUp();
    expect([0, 4, 12, 20].map((at) => device.readConfig(at, 4))).toEqual([SECTORS, 0, 254, 512]);
  });
});

describe("virtio-net", () => {
  const setUp = (features?: bigint) => {
    const hub = new NetHub();
    const inputs: HostInput[] = [];
    const device = new VirtioNet({
      name: "net0",
      mac: MAC,
      backend: hub.port(),
      sink: { post: (input) => inputs.push(input) },
    });
    const peer = hub.port();
    const heard: Uint8Array[] = [];
    peer.connect((frame) => heard.push(frame));
    return { device, peer, heard, inputs, r: rig(device, features ?? 0n) };
  };
  const frame = Uint8Array.from({ length: 60 }, (_, i) => i);

  it.each([
    ["10-byte legacy", 0n, 10],
    ["12-byte 1.0", VERSION_1, 12],
  ])(
    "puts a %s header before received frames and takes it from sent ones",
    (_, features, header) => {
      const { device, peer, heard, inputs, r } = setUp(features);
      r.drivers[0]!.add([{ gpa: r.buffers, length: 1600, write: true }]);
      peer.send(frame);
      expect(inputs).toHaveLength(1);
      device.receive(inputs[0]!);
      expect(r.drivers[0]!.takeUsed()[0]![1]).toBe(header + 60);
      expect(r.memory.read(r.buffers + header, 60)).toEqual(frame);
      if (header === 12) expect(r.memory.readU16(r.buffers + 10)).toBe(1);
      r.drivers[1]!.add([
        { gpa: r.buffers, length: header },
        { gpa: r.buffers + header, length: 60 },
      ]);
      device.notify(1);
      expect(heard).toEqual([frame]);
      expect(r.interrupts).toEqual([1, 1]);
    },
  );

  it("drops and counts frames without a buffer, or larger than the buffer, which stays", () => {
    const { device, r } = setUp();
    const input: HostInput = { kind: "net", device: "net0", data: frame };
    device.receive(input);
    r.drivers[0]!.add([{ gpa: r.buffers, length: 69, write: true }]);
    device.receive(input);
    expect(device.metrics.rxDropped).toBe(2);
    device.receive({ ...input, data: frame.subarray(0, 59) });
    expect(r.drivers[0]!.takeUsed()).toEqual([[0, 69]]);
  });

  it("declines kicks on its receive ring", () => {
    expect(setUp(0n).r.drivers[0]!.usedFlags).toBe(1);
  });

  it("drops sent frames that are too short to be any, and completes them", () => {
    const { device, heard, r } = setUp();
    r.drivers[1]!.add([{ gpa: r.buffers, length: 5 }]);
    device.notify(1);
    expect([heard.length, device.metrics.txDropped, r.drivers[1]!.takeUsed().length]).toEqual([
      0, 1, 1,
    ]);
  });

  it("refuses a multicast or short MAC address", () => {
    const backend = new NetHub().port();
    const sink = { post: () => {} };
    for (const mac of [Uint8Array.of(1, 0, 0, 0, 0, 0), Uint8Array.of(2, 0)]) {
      expect(() => new VirtioNet({ name: "n", mac, backend, sink })).toThrow(/MAC/);
    }
  });
});

describe("virtio-rng", () => {
  it("fills what is offered, at most 64 KiB a request, and says how much", () => {
    const device = new VirtioRng({ entropy: fixedEntropy(0x77) });
    const r = rig(device);
    r.drivers[0]!.add([
      { gpa: r.buffers, length: 3, write: true },
      { gpa: r.buffers + 8, length: 2, write: true },
    ]);
    r.drivers[0]!.add([{ gpa: r.buffers + 0x100, length: 0x20000, write: true }]);
    device.notify(0);
    expect([...r.memory.read(r.buffers, 11)]).toEqual([
      0x77, 0x77, 0x77, 0, 0, 0, 0, 0, 0x77, 0x77, 0,
    ]);
    expect(r.drivers[0]!.takeUsed().map(([, length]) => length)).toEqual([5, 0x10000]);
  });
});

it("devices without a driver ignore kicks and news", () => {
  const sink = { post: () => {} };
  const devices: VirtioDevice[] = [
    new VirtioConsole({ backend: new BufferConsole() }),
    new VirtioBlock({ name: "b", backend: new MemoryBlock(new Uint8Array(512)) }),
    new VirtioNet({ name: "n", mac: MAC, backend: new NetHub().port(), sink }),
    new VirtioRng({ entropy: fixedEntropy(0) }),
  ];
  for (const device of devices) {
    for (const queue of [0, 1, 99]) device.notify(queue);
    device.receive({ kind: "console", device: device.name, data: [1] });
    device.receive({ kind: "net", device: device.name, data: [1] });
    expect(device.restore.bind(device, { version: 99 })).toThrow(/version 99/);
  }
});
