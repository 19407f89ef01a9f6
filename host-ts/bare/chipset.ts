/** The chips of a plain machine, wired: ports, memory-mapped registers, interrupt lines and timers to the chips that answer. */
import { IRQ_SCI } from "../../abi/acpi.ts";
import { APIC_BYTES, APIC_GPA, IOAPIC_BYTES, IOAPIC_GPA } from "../../abi/apic.ts";
import {
  IOAPIC_TIMER_PIN,
  IRQ_COM1,
  IRQ_COPROCESSOR,
  IRQ_PIT,
  IRQ_RTC,
  PORT_COM1,
  TEST_MEMORY_BYTES,
  TEST_MEMORY_GPA,
} from "../../abi/pc.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { HostInput, IrqPort } from "../base/ports.ts";
import { AcpiPm } from "../devices/legacy/acpi-pm.ts";
import { Coprocessor } from "../devices/legacy/coprocessor.ts";
import { DebugPorts } from "../devices/legacy/debug-ports.ts";
import { FwCfg } from "../devices/legacy/fw-cfg.ts";
import { Ioapic } from "../devices/legacy/ioapic.ts";
import { type ResetKind, SystemControl } from "../devices/legacy/keyboard.ts";
import { APIC_TIMER, type ApicMessage, Lapic, receivers } from "../devices/legacy/lapic.ts";
import { PicPair } from "../devices/legacy/pic.ts";
import { PIT_TIMER, Pit } from "../devices/legacy/pit.ts";
import { type PortDevice, PortMap } from "../devices/legacy/port-map.ts";
import { RTC_SECOND_TIMER, RTC_TIMER, Rtc } from "../devices/legacy/rtc.ts";
import { TestDevice } from "../devices/legacy/test-device.ts";
import { Uart } from "../devices/legacy/uart.ts";
import { FirmwarePort } from "./firmware.ts";
import { hasApic } from "./interrupts.ts";

const FOUR_GIB = 2 ** 32;

/** How the chips reach the rest of the machine. */
export interface ChipsetOptions {
  readonly host: PersonalityHost;
  /** Address of the registers of the local APIC of the processor that runs, undefined while it is disabled. */
  readonly apicGpa: () => number | undefined;
  readonly print: (byte: number) => void;
  readonly exit: (code: number) => void;
  readonly reset: (kind: ResetKind) => void;
  /** The guest asked ACPI for the sleep of this type; an event came that ends it. */
  readonly sleep: (type: number) => void;
  readonly wake: () => void;
  /** The firmware's stub asks for the kernel to be started over. */
  readonly startOver: () => void;
  /** A message that may start or reset processor `id`. */
  readonly processorMessage: (id: number, message: ApicMessage) => void;
  /** The ROM whose other image ends at 4 GiB, if there is one. */
  readonly rom: Uint8Array | undefined;
}

/** A range of memory-mapped registers. */
interface Window {
  readonly start: number;
  readonly sizeBytes: number;
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/** All chips of one machine. */
export class Chipset {
  readonly pic = new PicPair();
  /** By number of the processor. */
  readonly lapics: readonly Lapic[];
  readonly debug: DebugPorts;
  readonly rtc: Rtc;
  readonly acpi: AcpiPm;
  readonly coprocessor: Coprocessor;
  readonly #ports = new PortMap();
  readonly #devices: readonly PortDevice[];
  readonly #ioapic: Ioapic;
  readonly #pit: Pit;
  readonly #com1: Uart;
  readonly #windows: readonly Window[];
  readonly #options: ChipsetOptions;

  constructor(options: ChipsetOptions) {
    this.#options = options;
    const { host, print } = options;
    const { clock, timers, memory } = host;
    const ramBytes = memory.ramBytes;
    this.#ioapic = new Ioapic((message) => this.#send(message));
    this.lapics = host.vcpus.map(
      (vcpu) =>
        new Lapic({
          id: vcpu.id,
          clock,
          timers,
          send: (message) => this.#send(message, vcpu.id),
          raiseNmi: () => host.raiseNmi(vcpu),
          ended: (vector) => this.#ioapic.ended(vector),
        }),
    );
    this.lapics[0]?.setUpByFirmware();
    this.debug = new DebugPorts({ print, exit: options.exit });
    const alarm = () => this.acpi.alarm();
    this.rtc = new Rtc({ irq: this.#line(IRQ_RTC), clock, timers, ramBytes, alarm });
    this.coprocessor = new Coprocessor(this.#line(IRQ_COPROCESSOR));
    const { sleep, wake } = options;
    this.acpi = new AcpiPm({ sleep, wake, irq: this.#line(IRQ_SCI) });
    this.#pit = new Pit({ irq: this.#line(IRQ_PIT), clock, timers });
    this.#com1 = new Uart({ name: "com1", port: PORT_COM1, irq: this.#line(IRQ_COM1), print });
    const test = new TestDevice((line, isHigh) => this.#setLine(line, isHigh));
    this.#devices = [
      this.pic,
      this.#pit,
      this.rtc,
      this.#com1,
      this.debug,
      new SystemControl(options.reset),
      this.acpi,
      this.coprocessor,
      new FirmwarePort(options.startOver),
      new FwCfg({ ramBytes, cpus: host.vcpus.length }),
      test,
    ];
    for (const device of this.#devices) this.#ports.add(device);
    this.#windows = [
      {
        start: IOAPIC_GPA >>> 0,
        sizeBytes: IOAPIC_BYTES,
        read: (offset) => this.#ioapic.read(offset),
        write: (offset, _size, value) => this.#ioapic.write(offset, value),
      },
      {
        start: TEST_MEMORY_GPA >>> 0,
        sizeBytes: TEST_MEMORY_BYTES,
        read: (offset, size) => test.readMemory(offset, size),
        write: (offset, size, value) => test.writeMemory(offset, size, value),
      },
      ...romWindow(options.rom),
    ];
  }

  ioRead(port: number, size: number): number {
    return this.#ports.read(port, size);
  }

  ioWrite(port: number, size: number, value: number): void {
    this.#ports.write(port, size, value);
  }

  /** Where nobody answers a read gives all ones. */
  mmioRead(gpa: number, size: number): number {
    const apicOffset = this.#apicOffset(gpa);
    if (apicOffset !== undefined) return this.#ownLapic.read(apicOffset);
    const window = this.#windowAt(gpa);
    return window === undefined ? 2 ** (8 * size) - 1 : window.read(gpa - window.start, size);
  }

  mmioWrite(gpa: number, size: number, value: number): void {
    const apicOffset = this.#apicOffset(gpa);
    if (apicOffset !== undefined) {
      this.#ownLapic.write(apicOffset, value);
      return;
    }
    const window = this.#windowAt(gpa);
    window?.write(gpa - window.start, size, value);
  }

  timerExpired(name: string): void {
    if (name === PIT_TIMER) this.#pit.timerExpired();
    else if (name === RTC_TIMER) this.rtc.timerExpired();
    else if (name === RTC_SECOND_TIMER) this.rtc.secondBegan();
    else if (name.startsWith(APIC_TIMER))
      this.lapics[Number(name.slice(APIC_TIMER.length))]?.timerExpired();
  }

  /** Whether a device could still wake a processor that is closed to interrupts. */
  get canForce(): boolean {
    return this.#ioapic.canForce;
  }

  /** Host-side news. */
  receive(input: HostInput): void {
    this.#com1.receive(input);
  }

  /** Bytes of input that wait in the serial port. */
  get pendingInputBytes(): number {
    return this.#com1.pendingInputBytes;
  }

  save(): Record<string, unknown> {
    return {
      devices: Object.fromEntries(this.#devices.map((device) => [device.name, device.save()])),
      lapics: this.lapics.map((lapic) => lapic.save()),
      ioapic: this.#ioapic.save(),
    };
  }

  restore(state: Record<string, unknown>): void {
    const devices = state.devices as Record<string, Record<string, unknown>>;
    for (const device of this.#devices) device.restore(devices[device.name] ?? {});
    const lapics = state.lapics as Record<string, unknown>[];
    for (const [id, lapic] of this.lapics.entries()) lapic.restore(lapics[id] ?? {});
    this.#ioapic.restore(state.ioapic as Record<string, unknown>);
  }

  /** A line as a device sees it; both interrupt controllers do. */
  #line(irq: number): IrqPort {
    return { raise: () => this.#setLine(irq, true), lower: () => this.#setLine(irq, false) };
  }

  #setLine(irq: number, isHigh: boolean): void {
    this.pic.setLine(irq, isHigh);
    this.#ioapic.setLine(irq === IRQ_PIT ? IOAPIC_TIMER_PIN : irq, isHigh);
  }

  /** The local APIC that the processor which runs sees. */
  get #ownLapic(): Lapic {
    return this.lapics[this.#options.host.vcpu.id]!;
  }

  /** A message of the I/O APIC has no sender. An APIC that its MSR disables is not on the bus. */
  #send(message: ApicMessage, sender?: number): void {
    const { vcpus } = this.#options.host;
    const onBus = this.lapics.filter(({ id }) => hasApic(vcpus[id]!));
    for (const lapic of receivers(onBus, message, sender)) {
      lapic.accept(message.mode, message.vector, message.isLevel);
      this.#options.processorMessage(lapic.id, message);
    }
  }

  #apicOffset(gpa: number): number | undefined {
    const base = this.#options.apicGpa();
    if (base === undefined || gpa < base || gpa >= base + APIC_BYTES) return undefined;
    return gpa - base;
  }

  #windowAt(gpa: number): Window | undefined {
    return this.#windows.find(({ start, sizeBytes }) => gpa >= start && gpa < start + sizeBytes);
  }
}

/** Address at which the local APIC answers after reset. */
export const APIC_RESET_GPA = APIC_GPA >>> 0;

function romWindow(rom: Uint8Array | undefined): Window[] {
  if (rom === undefined) return [];
  const read = (offset: number, size: number) => {
    let value = 0;
    for (let i = 0; i < size; i++) value += (rom[offset + i] ?? 0xff) * 2 ** (8 * i);
    return value;
  };
  return [{ start: FOUR_GIB - rom.length, sizeBytes: rom.length, read, write: () => {} }];
}
