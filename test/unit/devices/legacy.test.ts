/** The chips of a plain machine, one rule each, without a machine. */
import { describe, expect, test } from "vitest";
import {
  APIC_DFR,
  APIC_EOI,
  APIC_ESR,
  APIC_ICR_LOW,
  APIC_ID,
  APIC_IRR,
  APIC_ISR,
  APIC_LDR,
  APIC_LVT_ERROR,
  APIC_LVT_LINT0,
  APIC_LVT_MASKED,
  APIC_LVT_TIMER,
  APIC_SPURIOUS,
  APIC_TIMER_CURRENT,
  APIC_TIMER_DIVIDE,
  APIC_TIMER_INITIAL,
  APIC_TPR,
  IOAPIC_SELECT,
  IOAPIC_WINDOW,
} from "../../../abi/apic.ts";
import { Timers } from "../../../host-ts/base/time.ts";
import { AcpiPm } from "../../../host-ts/devices/legacy/acpi-pm.ts";
import { DebugPorts } from "../../../host-ts/devices/legacy/debug-ports.ts";
import { FwCfg } from "../../../host-ts/devices/legacy/fw-cfg.ts";
import { Ioapic } from "../../../host-ts/devices/legacy/ioapic.ts";
import { SystemControl } from "../../../host-ts/devices/legacy/keyboard.ts";
import { type ApicMessage, Lapic, receivers } from "../../../host-ts/devices/legacy/lapic.ts";
import { PicPair } from "../../../host-ts/devices/legacy/pic.ts";
import { Pit } from "../../../host-ts/devices/legacy/pit.ts";
import { type PortDevice, PortMap } from "../../../host-ts/devices/legacy/port-map.ts";
import { RTC_SECOND_TIMER, Rtc } from "../../../host-ts/devices/legacy/rtc.ts";
import { TestDevice } from "../../../host-ts/devices/legacy/test-device.ts";
import { Uart } from "../../../host-ts/devices/legacy/uart.ts";

/** A line that remembers its level and how often it rose. */
class Line {
  isHigh = false;
  edges = 0;
  raise(): void {
    if (!this.isHigh) this.edges++;
    this.isHigh = true;
  }
  lower(): void {
    this.isHigh = false;
  }
}

const at = (seconds: number) => ({ nowNs: 0, wallClock: () => ({ seconds, nanoseconds: 0 }) });

/** Saves a device, lets `disturb` change it, restores it, and expects the first state back. */
function expectRestorable(device: Pick<PortDevice, "save" | "restore">, disturb: () => void): void {
  const before = structuredClone(device.save());
  disturb();
  expect(device.save()).not.toEqual(before);
  device.restore(before);
  expect(device.save()).toEqual(before);
  expect(() => device.restore({ ...before, version: 99 })).toThrow("version 99");
}

describe("8259 pair", () => {
  const initialised = (): PicPair => {
    const pic = new PicPair();
    for (const [port, base, icw3] of [
      [0x20, 0x20, 4],
      [0xa0, 0x28, 2],
    ] as const) {
      pic.write(port, 1, 0x11);
      for (const word of [base, icw3, 1]) pic.write(port + 1, 1, word);
    }
    return pic;
  };
  const pulse = (pic: PicPair, irq: number): void => {
    pic.setLine(irq, true);
    pic.setLine(irq, false);
  };

  test("lower lines win, and one in service holds off those below it until its end", () => {
    const pic = initialised();
    pulse(pic, 4);
    pulse(pic, 1);
    expect(pic.acknowledge()).toBe(0x21);
    expect(pic.hasRequest).toBe(false);
    pic.write(0x20, 1, 0x20);
    expect(pic.acknowledge()).toBe(0x24);
    pulse(pic, 0);
    expect(pic.acknowledge()).toBe(0x20);
  });

  test("the slave's lines come between 1 and 3, and need an end at both chips", () => {
    const pic = initialised();
    pulse(pic, 3);
    pulse(pic, 8);
    expect(pic.acknowledge()).toBe(0x28);
    expect(pic.hasRequest).toBe(false);
    pic.write(0xa0, 1, 0x20);
    expect(pic.hasRequest).toBe(false);
    pic.write(0x20, 1, 0x20);
    expect(pic.acknowledge()).toBe(0x23);
  });

  test("a masked line waits; an acknowledge for nothing is spurious", () => {
    const pic = initialised();
    pic.write(0x21, 1, 0x10);
    pulse(pic, 4);
    expect(pic.hasRequest).toBe(false);
    expect(pic.acknowledge()).toBe(0x27);
    pic.write(0x21, 1, 0);
    expect(pic.acknowledge()).toBe(0x24);
  });

  test("a level-triggered line asks again after its end while it is high", () => {
    const pic = initialised();
    pic.write(0x4d0, 1, 0x20);
    pic.setLine(5, true);
    expect(pic.acknowledge()).toBe(0x25);
    pic.write(0x20, 1, 0x65);
    expect(pic.hasRequest).toBe(true);
    pic.setLine(5, false);
    expect(pic.hasRequest).toBe(false);
  });

  test("automatic end, rotation, special mask, polling and the readable registers", () => {
    const pic = initialised();
    pic.write(0x20, 1, 0x11);
    for (const word of [0x20, 4, 3]) pic.write(0x21, 1, word);
    pulse(pic, 2 + 1);
    expect(pic.acknowledge()).toBe(0x23);
    pulse(pic, 6);
    expect(pic.acknowledge()).toBe(0x26);

    const rotated = initialised();
    rotated.write(0x20, 1, 0xc3);
    pulse(rotated, 3);
    pulse(rotated, 4);
    expect(rotated.acknowledge()).toBe(0x24);

    const special = initialised();
    pulse(special, 1);
    special.acknowledge();
    special.write(0x21, 1, 0x02);
    special.write(0x20, 1, 0x68);
    pulse(special, 6);
    expect(special.acknowledge()).toBe(0x26);
    special.write(0x20, 1, 0x0b);
    expect(special.read(0x20)).toBe(0x42);

    const polled = initialised();
    pulse(polled, 6);
    polled.write(0x20, 1, 0x0c);
    expect([polled.read(0x20), polled.read(0x20)]).toEqual([0x86, 0]);
  });

  test("its state comes back", () => {
    const pic = initialised();
    expectRestorable(pic, () => pulse(pic, 9));
  });
});

describe("8254", () => {
  const machine = () => {
    const clock = { nowNs: 0 };
    const timers = new Timers();
    const irq = new Line();
    return { clock, timers, irq, pit: new Pit({ irq, clock, timers }) };
  };
  const load = (pit: Pit, port: number, control: number, count: number): void => {
    pit.write(0x43, 1, control);
    pit.write(port, 1, count & 0xff);
    pit.write(port, 1, count >> 8);
  };

  test("counter 0 in mode 2 raises its line once a period, without drift", () => {
    const { clock, timers, irq, pit } = machine();
    load(pit, 0x40, 0x34, 11932);
    for (let period = 1; period <= 100; period++) {
      const due = timers.nextNs() ?? 0;
      expect(Math.abs(due - (period * 11932 * 1e9) / 1193182)).toBeLessThan(2);
      clock.nowNs = due;
      timers.takeDue(due);
      pit.timerExpired();
    }
    expect(irq.edges).toBe(100);
  });

  test("mode 0 fires once; a latched count stands still while it is read", () => {
    const { clock, timers, pit } = machine();
    load(pit, 0x40, 0x30, 1000);
    clock.nowNs = 100e3;
    pit.write(0x43, 1, 0x00);
    clock.nowNs = 200e3;
    const latched = pit.read(0x40) | (pit.read(0x40) << 8);
    expect(latched).toBe(1000 - 119);
    const due = timers.nextNs() ?? 0;
    clock.nowNs = due;
    timers.takeDue(due);
    pit.timerExpired();
    expect(timers.nextNs()).toBeUndefined();
  });

  test("counter 2 runs while its gate is open, and port 0x61 shows its end", () => {
    const { clock, pit } = machine();
    load(pit, 0x42, 0xb0, 1193);
    pit.write(0x61, 1, 1);
    expect(pit.read(0x61) & 0x21).toBe(0x01);
    clock.nowNs = 1.1e6;
    expect(pit.read(0x61) & 0x21).toBe(0x21);
  });

  test("the read-back command latches status and BCD counts", () => {
    const { clock, pit } = machine();
    load(pit, 0x40, 0x35, 0x9999);
    pit.write(0x43, 1, 0xe2);
    expect(pit.read(0x40)).toBe(0x80 | 0x35);
    clock.nowNs = 1e6;
    expect(pit.read(0x40) | (pit.read(0x40) << 8)).toBe(0x8806);
    expectRestorable(pit, () => load(pit, 0x40, 0x34, 5));
  });
});

describe("16550", () => {
  const machine = () => {
    const irq = new Line();
    const printed: number[] = [];
    const uart = new Uart({ name: "com1", port: 0x3f8, irq, print: (byte) => printed.push(byte) });
    return { irq, printed, uart };
  };

  test("prints, and interrupts when its transmitter is idle and OUT2 is set", () => {
    const { irq, printed, uart } = machine();
    uart.write(0x3f8, 1, 0x41);
    uart.write(0x3f9, 1, 2);
    expect([printed, irq.isHigh]).toEqual([[0x41], false]);
    uart.write(0x3fc, 1, 8);
    expect(irq.isHigh).toBe(true);
    expect([uart.read(0x3fa), uart.read(0x3fa), irq.isHigh]).toEqual([2, 1, false]);
  });

  test("input waits until it is read, with its interrupt", () => {
    const { irq, uart } = machine();
    uart.write(0x3f9, 1, 1);
    uart.write(0x3fc, 1, 8);
    uart.receive({ kind: "console", device: "console", data: [1, 2] });
    expect([uart.read(0x3fd) & 1, irq.isHigh, uart.read(0x3fa)]).toEqual([1, true, 4]);
    expect([uart.read(0x3f8), uart.read(0x3f8), irq.isHigh]).toEqual([1, 2, false]);
    expectRestorable(uart, () => uart.receive({ kind: "console", device: "console", data: [3] }));
  });

  test("input waits outside while a driver resets the port, and loopback holds 16 bytes", () => {
    const { uart } = machine();
    const hasByte = () => (uart.read(0x3fd) & 1) !== 0;
    uart.receive({ kind: "console", device: "console", data: [1, 2, 3] });
    expect(hasByte()).toBe(true);
    uart.write(0x3fc, 1, 8);
    uart.write(0x3fa, 1, 7);
    expect([hasByte(), uart.read(0x3f8), uart.pendingInputBytes]).toEqual([false, 0, 3]);
    uart.write(0x3fc, 1, 0x10);
    for (let byte = 0; byte < 20; byte++) uart.write(0x3f8, 1, byte + 0x40);
    let looped = 0;
    for (; hasByte(); looped++) expect(uart.read(0x3f8)).toBe(looped + 0x40);
    expect([looped, uart.pendingInputBytes]).toEqual([16, 3]);
    uart.write(0x3fc, 1, 0x0b);
    expect([uart.read(0x3f8), uart.read(0x3f8), uart.pendingInputBytes]).toEqual([1, 2, 1]);
  });

  test("the divisor hides behind its latch, and loopback returns what is sent", () => {
    const { printed, uart } = machine();
    uart.write(0x3fb, 1, 0x83);
    uart.write(0x3f8, 1, 0x0c);
    expect(uart.read(0x3f8)).toBe(0x0c);
    uart.write(0x3fb, 1, 3);
    uart.write(0x3fc, 1, 0x1e);
    uart.write(0x3f8, 1, 0xae);
    expect([uart.read(0x3f8), printed]).toEqual([0xae, []]);
    expect(uart.read(0x3fe) & 0xf0).toBe(0xd0);
  });
});

describe("clock", () => {
  test("tells the wall clock in BCD and binary, 24 and 12 hours", () => {
    const time = Date.UTC(2026, 10, 21, 13, 5, 9) / 1000;
    const rtc = new Rtc({
      irq: new Line(),
      clock: at(time),
      timers: new Timers(),
      ramBytes: 64 << 20,
    });
    const field = (index: number) => {
      rtc.write(0x70, 1, index);
      return rtc.read(0x71);
    };
    expect([9, 8, 7, 4, 2, 0, 0x32].map(field)).toEqual([0x26, 0x11, 0x21, 0x13, 0x05, 0x09, 0x20]);
    rtc.write(0x70, 1, 0x0b);
    rtc.write(0x71, 1, 0x04);
    expect([4, 2].map(field)).toEqual([0x81, 5]);
  });

  test("interrupts at its rate until the cause is read", () => {
    const irq = new Line();
    const timers = new Timers();
    const rtc = new Rtc({ irq, clock: at(0), timers, ramBytes: 64 << 20 });
    rtc.write(0x70, 1, 0x0b);
    rtc.write(0x71, 1, 0x42);
    expect(timers.nextNs()).toBe(Math.ceil(1e9 / 1024));
    rtc.timerExpired();
    expect(irq.isHigh).toBe(true);
    rtc.write(0x70, 1, 0x0c);
    expect([rtc.read(0x71), irq.isHigh]).toEqual([0xc0, false]);
    expectRestorable(rtc, () => rtc.write(0x70, 1, 0));
  });
});

describe("clock alarm", () => {
  const machine = () => {
    const clock = {
      nowNs: 0,
      wallClock() {
        return { seconds: 59 + Math.floor(this.nowNs / 1e9), nanoseconds: this.nowNs % 1e9 };
      },
    };
    const irq = new Line();
    const rings: number[] = [];
    const timers = new Timers();
    const alarm = () => rings.push(clock.nowNs);
    const rtc = new Rtc({ irq, clock, timers, ramBytes: 64 << 20, alarm });
    const set = (index: number, value: number) => {
      rtc.write(0x70, 1, index);
      rtc.write(0x71, 1, value);
    };
    const get = (index: number) => {
      rtc.write(0x70, 1, index);
      return rtc.read(0x71);
    };
    /** Lets time pass to the end of each of `count` seconds. */
    const pass = (count: number) => {
      for (let i = 0; i < count; i++) {
        clock.nowNs = timers.nextNs()!;
        for (const name of timers.takeDue(clock.nowNs)) {
          if (name === RTC_SECOND_TIMER) rtc.secondBegan();
          else rtc.timerExpired();
        }
      }
    };
    return { clock, irq, rings, rtc, set, get, pass };
  };

  test("rings when seconds, minutes and hours agree, and not before", () => {
    const { set, get, pass, rings, irq } = machine();
    for (const [index, value] of [
      [1, 0x02],
      [3, 0x01],
      [5, 0x00],
      [0x0b, 0x22],
    ] as const)
      set(index, value);
    pass(2);
    expect([rings, irq.isHigh, get(0x0c) & 0xf0]).toEqual([[], false, 0x10]);
    pass(1);
    expect([rings, irq.isHigh, get(0x0c)]).toEqual([[3e9], true, 0xb0]);
    expect(irq.isHigh).toBe(false);
  });

  test("where any value will do it rings every second", () => {
    const { set, pass, rings } = machine();
    for (const index of [1, 3, 5]) set(index, 0xff);
    set(0x0b, 0x22);
    pass(3);
    expect(rings).toEqual([1e9, 2e9, 3e9]);
  });

  test("an update is announced before the second ends", () => {
    const { clock, get } = machine();
    const isUpdating = (nowNs: number) => {
      clock.nowNs = nowNs;
      return (get(0x0a) & 0x80) !== 0;
    };
    expect([0, 5e8, 997_000_000, 998_000_000, 1e9].map(isUpdating)).toEqual([
      ...[false, false, false, true, false],
    ]);
  });
});

describe("local APIC", () => {
  const machine = () => {
    const clock = { nowNs: 0 };
    const timers = new Timers();
    const sent: ApicMessage[] = [];
    const ended: number[] = [];
    const nmis = { count: 0 };
    const apic = new Lapic({
      id: 0,
      clock,
      timers,
      send: (message) => sent.push(message),
      raiseNmi: () => {
        nmis.count++;
      },
      ended: (vector) => ended.push(vector),
    });
    apic.write(APIC_SPURIOUS, 0x1ff);
    return { clock, timers, sent, ended, nmis, apic };
  };

  test("priorities: by vector class, against the task's and the one in service", () => {
    const { apic } = machine();
    apic.accept(0, 0x41, false);
    apic.accept(0, 0x61, false);
    expect(apic.acknowledge()).toBe(0x61);
    expect(apic.request).toBeUndefined();
    apic.accept(0, 0x6f, false);
    expect(apic.request).toBeUndefined();
    expect([apic.read(APIC_IRR + 0x20) >>> 0, apic.read(APIC_ISR + 0x30)]).toEqual([0x2, 0x2]);
    apic.write(APIC_EOI, 0);
    expect(apic.request).toBe(0x6f);
    apic.write(APIC_TPR, 0x60);
    expect(apic.request).toBeUndefined();
  });

  test("only level-triggered interrupts tell the I/O APIC of their end", () => {
    const { apic, ended } = machine();
    for (const [vector, isLevel] of [
      [0x30, true],
      [0x31, false],
    ] as const) {
      apic.accept(0, vector, isLevel);
      apic.acknowledge();
      apic.write(APIC_EOI, 0);
    }
    expect(ended).toEqual([0x30]);
  });

  test("its timer counts guest time, once or again and again", () => {
    const { apic, clock, timers } = machine();
    apic.write(APIC_TIMER_DIVIDE, 0xb);
    apic.write(APIC_LVT_TIMER, 0x20040);
    apic.write(APIC_TIMER_INITIAL, 1000);
    clock.nowNs = 400;
    expect([apic.read(APIC_TIMER_CURRENT), timers.nextNs()]).toEqual([600, 1000]);
    clock.nowNs = 1000;
    timers.takeDue(1000);
    apic.timerExpired();
    expect([apic.request, timers.nextNs()]).toEqual([0x40, 2000]);
    apic.write(APIC_LVT_TIMER, 0x40);
    timers.takeDue(2000);
    clock.nowNs = 2000;
    apic.timerExpired();
    expect(timers.nextNs()).toBeUndefined();
  });

  test("messages carry mode, vector and destination; bad vectors are errors", () => {
    const { apic, sent, nmis } = machine();
    apic.write(APIC_ICR_LOW, 0x40050);
    expect(sent[0]).toMatchObject({ vector: 0x50, shorthand: 1, mode: 0 });
    apic.write(APIC_LVT_ERROR, 0x77);
    apic.write(APIC_ICR_LOW, 0x40003);
    expect([sent.length, apic.request]).toEqual([1, 0x77]);
    apic.write(APIC_ESR, 0);
    expect(apic.read(APIC_ESR)).toBe(0x20);
    apic.accept(4, 0, false);
    expect(nmis.count).toBe(1);
  });

  test("disabled by software it takes nothing and masks its table", () => {
    const { apic } = machine();
    expect(apic.acceptsExternal).toBe(false);
    apic.setUpByFirmware();
    expect(apic.acceptsExternal).toBe(true);
    apic.write(APIC_SPURIOUS, 0xff);
    apic.accept(0, 0x40, false);
    expect([apic.request, apic.acceptsExternal]).toEqual([undefined, false]);
    expect(apic.read(APIC_LVT_LINT0) & APIC_LVT_MASKED).toBe(APIC_LVT_MASKED);
    expectRestorable(apic, () => apic.write(APIC_ID, 0x05000000));
  });
});

describe("messages between local APICs", () => {
  const bus = (count: number) => {
    const sent: ApicMessage[] = [];
    const lapics = Array.from({ length: count }, (_, id) => {
      const none = {
        clock: { nowNs: 0 },
        timers: new Timers(),
        raiseNmi: () => {},
        ended: () => {},
      };
      const apic = new Lapic({ id, ...none, send: (message) => sent.push(message) });
      apic.write(APIC_SPURIOUS, 0x1ff);
      return apic;
    });
    const message = { mode: 0, vector: 0x50, isLevel: false, destination: 0, isLogical: false };
    const to = (change: Partial<ApicMessage>, sender?: number) =>
      receivers(lapics, { ...message, shorthand: 0, ...change }, sender).map(({ id }) => id);
    return { lapics, sent, to };
  };

  test("shorthands: self, all, all but self", () => {
    const { to } = bus(3);
    expect([1, 2, 3].map((shorthand) => to({ shorthand }, 1))).toEqual([[1], [0, 1, 2], [0, 2]]);
  });

  test("physical destinations are identifiers, and 0xff is everybody", () => {
    const { to } = bus(3);
    expect([2, 7, 0xff].map((destination) => to({ destination }))).toEqual([[2], [], [0, 1, 2]]);
  });

  test("logical destinations are masks, flat or by cluster", () => {
    const { lapics, to } = bus(3);
    for (const apic of lapics) apic.write(APIC_LDR, 1 << (24 + apic.id));
    expect(to({ isLogical: true, destination: 5 })).toEqual([0, 2]);
    for (const apic of lapics) {
      apic.write(APIC_DFR, 0);
      apic.write(APIC_LDR, (apic.id << 28) | (1 << 24));
    }
    expect(to({ isLogical: true, destination: 0x11 })).toEqual([1]);
  });

  test("the lowest priority wins, by number between equals; who is disabled does not count", () => {
    const { lapics, to } = bus(3);
    const everybody = { mode: 1, shorthand: 2 };
    expect(to(everybody)).toEqual([0]);
    lapics[0]!.write(APIC_TPR, 0x20);
    expect(to(everybody)).toEqual([1]);
    lapics[1]!.write(APIC_SPURIOUS, 0xff);
    expect(to(everybody)).toEqual([2]);
  });

  test("the end of a level-triggered INIT is no message", () => {
    const { lapics, sent } = bus(2);
    lapics[0]!.write(APIC_ICR_LOW, 0x8500);
    expect(sent).toEqual([]);
    lapics[0]!.write(APIC_ICR_LOW, 0xc500);
    expect(sent.map(({ mode }) => mode)).toEqual([5]);
  });

  test("INIT leaves the identifier that was written", () => {
    const [apic] = bus(1).lapics;
    apic!.write(APIC_ID, 0x07000000);
    apic!.write(APIC_TPR, 0x40);
    apic!.reset();
    expect([apic!.read(APIC_ID), apic!.read(APIC_TPR)]).toEqual([0x07000000, 0]);
  });
});

test("I/O APIC: edges once, levels until their end, masks hold", () => {
  const sent: ApicMessage[] = [];
  const chip = new Ioapic((message) => sent.push(message));
  const entry = (pin: number, low: number): void => {
    chip.write(IOAPIC_SELECT, 0x10 + 2 * pin);
    chip.write(IOAPIC_WINDOW, low);
  };
  entry(3, 0x10033);
  chip.setLine(3, true);
  expect(sent).toEqual([]);
  entry(3, 0x33);
  chip.setLine(3, true);
  expect(sent.map(({ vector, isLevel }) => [vector, isLevel])).toEqual([[0x33, false]]);
  entry(4, 0x8044);
  chip.setLine(4, true);
  chip.setLine(4, true);
  expect(sent.length).toBe(2);
  chip.ended(0x44);
  expect(sent.length).toBe(3);
  chip.setLine(4, false);
  chip.ended(0x44);
  expect(sent.length).toBe(3);
  expectRestorable(chip, () => entry(5, 0x55));
});

describe("ports", () => {
  test("an access belongs to the owner of its first port; nobody reads as ones", () => {
    const test1 = new TestDevice(() => {});
    const resets: string[] = [];
    const map = new PortMap();
    map.add(test1);
    map.add(new SystemControl((kind) => resets.push(kind)));
    map.write(0xe0, 4, 0x12345678);
    expect([map.read(0xe0, 4), map.read(0xe1, 2), map.read(0x5555, 2)]).toEqual([
      0x12345678, 0x3456, 0xffff,
    ]);
    map.write(0xcf8, 4, 0xffffffff);
    expect(resets).toEqual([]);
  });

  test("resets: of the processor by keyboard and port 0x92, of the machine by 0xcf9", () => {
    const resets: string[] = [];
    const control = new SystemControl((kind) => resets.push(kind));
    control.write(0x64, 1, 0xfe);
    control.write(0x92, 1, 1);
    control.write(0xcf9, 1, 6);
    control.write(0x64, 1, 0xd0);
    control.write(0x64, 1, 0xd1);
    control.write(0x60, 1, 0x02);
    expect(resets).toEqual(["processor", "processor", "machine", "processor"]);
    expectRestorable(control, () => control.write(0xcf9, 1, 0));
  });

  test("debug ports print, remember progress, and end with an odd code", () => {
    const seen: unknown[] = [];
    const ports = new DebugPorts({
      print: (byte) => seen.push(["print", byte]),
      exit: (code) => seen.push(["exit", code]),
    });
    ports.write(0xe9, 1, 0x41);
    ports.write(0xf4, 4, 3);
    ports.write(0x190, 1, 0x22);
    ports.write(0x80, 1, 0x33);
    expect([seen, ports.postCodes]).toEqual([
      [
        ["print", 0x41],
        ["exit", 7],
      ],
      [0x22, 0x33],
    ]);
    expectRestorable(ports, () => ports.write(0x80, 1, 1));
  });

  test("fw_cfg reads items byte by byte, zeroes past their end", () => {
    const device = new FwCfg({ ramBytes: 64 << 20, cpus: 1 });
    device.write(0x510, 2, 5);
    expect([0, 0, 0].map(() => device.read(0x511, 1))).toEqual([1, 0, 0]);
    device.write(0x510, 2, 0);
    expect(String.fromCharCode(...[0, 0, 0, 0].map(() => device.read(0x511, 1)))).toBe("QEMU");
    expectRestorable(device, () => device.write(0x510, 2, 3));
  });
});

describe("ACPI registers", () => {
  test("the alarm of the clock wakes and interrupts once it is enabled, until its status is written", () => {
    const irq = new Line();
    let wakes = 0;
    const pm = new AcpiPm({ sleep: () => {}, wake: () => wakes++, irq });
    const map = new PortMap();
    map.add(pm);
    pm.alarm();
    expect([map.read(0x600, 2), wakes, irq.isHigh]).toEqual([0x400, 0, false]);
    map.write(0x602, 2, 0x400);
    expect(irq.isHigh).toBe(true);
    map.write(0x600, 2, 0x400);
    expect([map.read(0x600, 2), irq.isHigh]).toEqual([0, false]);
    pm.alarm();
    pm.noteWake();
    expect([map.read(0x600, 2), wakes]).toEqual([0x8400, 1]);
    expectRestorable(pm, () => map.write(0x600, 2, 0x400));
  });

  test("ACPI mode is on, no event is pending, and SLP_EN asks for the sleep of its type", () => {
    const sleeps: number[] = [];
    const pm = new AcpiPm({ sleep: (type) => sleeps.push(type), wake: () => {}, irq: new Line() });
    const map = new PortMap();
    map.add(pm);
    expect([map.read(0x600, 4), map.read(0x604, 2)]).toEqual([0, 1]);
    map.write(0x602, 2, 0x0120);
    map.write(0x604, 2, 0x1400);
    expect([map.read(0x600, 4), map.read(0x604, 2), sleeps]).toEqual([0x01200000, 0x1401, []]);
    expectRestorable(pm, () => map.write(0x604, 2, 0x2000));
    map.write(0x604, 2, 0x3400);
    expect([map.read(0x604, 2), sleeps]).toEqual([0x1401, [0, 5]]);
  });
});
