/**
 * The MC146818 clock with its 128 bytes of battery-backed memory: date and time of the guest's wall clock, alarm, periodic and
 * update-ended interrupts.
 * Source: Motorola MC146818 datasheet; the century byte and the memory sizes are where PC firmware keeps them.
 */
import { PORT_RTC_DATA, PORT_RTC_INDEX } from "../../../abi/pc.ts";
import type { IrqPort } from "../../base/ports.ts";
import type { Timers } from "../../base/time.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
/** Names of the clock's timers: the periodic interrupt, and the next second. */
export const RTC_TIMER = "rtc";
export const RTC_SECOND_TIMER = "rtc second";
const NS_PER_SECOND = 1e9;
/** An update is announced 244 microseconds ahead and takes 1,984; the time is new at its end. */
const UPDATE_NS = 2_228_000;
const RTC_HZ = 32768;

const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;
const CMOS_CENTURY = 0x32;
const CMOS_BYTES = 128;

/** Seconds, minutes and hours, each before the byte that the alarm compares with it. */
const ALARM_FIELDS = [0x00, 0x02, 0x04] as const;
/** In an alarm byte: any value will do. */
const ANY = 0xc0;

const A_UPDATING = 0x80;
const B_PERIODIC = 0x40;
const B_ALARM = 0x20;
const B_UPDATE = 0x10;
const B_BINARY = 0x04;
const B_24_HOURS = 0x02;
const C_REQUEST = 0x80;
const D_VALID = 0x80;

/** What the chip needs of its machine. */
export interface RtcOptions {
  readonly irq: IrqPort;
  readonly clock: {
    readonly nowNs: number;
    wallClock(): { readonly seconds: number; readonly nanoseconds: number };
  };
  readonly timers: Timers;
  readonly ramBytes: number;
  /** The alarm rings, for whoever it may wake. */
  readonly alarm?: () => void;
}

/** The chip. */
export class Rtc implements PortDevice {
  readonly name = "rtc";
  readonly isWide = false;
  readonly ports = [[PORT_RTC_INDEX, PORT_RTC_DATA]] as const;
  readonly #irq: IrqPort;
  readonly #clock: RtcOptions["clock"];
  readonly #timers: Timers;
  readonly #alarm: () => void;
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  #index = 0;

  constructor(options: RtcOptions) {
    this.#irq = options.irq;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#alarm = options.alarm ?? (() => {});
    this.#cmos[REG_A] = 0x26;
    this.#cmos[REG_B] = B_24_HOURS;
    const kib = Math.min(0xffff, options.ramBytes / 1024 - 1024);
    const blocks = Math.max(0, Math.min(0xffff, options.ramBytes / 65536 - 256));
    this.#cmos.set([640 & 0xff, 640 >> 8, kib & 0xff, kib >> 8], 0x15);
    this.#cmos.set([kib & 0xff, kib >> 8], 0x30);
    this.#cmos.set([blocks & 0xff, blocks >> 8], 0x34);
  }

  /** A byte of the battery-backed memory, as firmware reads it. */
  cmos(index: number): number {
    return this.#cmos[index] ?? 0;
  }

  /** The firmware writes a byte of it. */
  setCmos(index: number, value: number): void {
    this.#cmos[index] = value;
  }

  /** The periodic interrupt is due. */
  timerExpired(): void {
    this.#cmos[REG_C]! |= B_PERIODIC;
    this.#update();
    this.#arm();
  }

  /** An update ended: a new second has begun. */
  secondBegan(): void {
    this.#cmos[REG_C]! |= B_UPDATE;
    const rings = ALARM_FIELDS.every((field) => {
      const wanted = this.#cmos[field + 1]!;
      return (wanted & ANY) === ANY || wanted === this.#timeField(field);
    });
    if (rings) this.#cmos[REG_C]! |= B_ALARM;
    if (rings && (this.#cmos[REG_B]! & B_ALARM) !== 0) this.#alarm();
    this.#update();
    this.#arm();
  }

  read(port: number): number {
    if (port === PORT_RTC_INDEX) return 0xff;
    const index = this.#index;
    if (index === REG_C) {
      const causes = this.#cmos[REG_C]!;
      this.#cmos[REG_C] = 0;
      this.#update();
      return causes;
    }
    if (index === REG_D) return D_VALID;
    if (index === REG_A) return this.#cmos[REG_A]! | (this.#isUpdating ? A_UPDATING : 0);
    return this.#timeField(index) ?? this.#cmos[index]!;
  }

  /** Bit 7 of the index port masks NMIs on a PC; nothing here raises one through it. */
  write(port: number, _size: number, value: number): void {
    if (port === PORT_RTC_INDEX) {
      this.#index = value & (CMOS_BYTES - 1);
      return;
    }
    const index = this.#index;
    if (index === REG_C || index === REG_D || this.#timeField(index) !== undefined) return;
    this.#cmos[index] = index === REG_A ? value & ~A_UPDATING : value;
    if (index === REG_A || index === REG_B) {
      this.#update();
      this.#arm();
    }
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, index: this.#index, cmos: [...this.#cmos] };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#index = state.index as number;
    this.#cmos.set(state.cmos as number[]);
  }

  /** Date and time by register; undefined for a register that is memory. The guest's wall clock cannot be set. */
  #timeField(index: number): number | undefined {
    const date = () => new Date(this.#clock.wallClock().seconds * 1000);
    switch (index) {
      case 0x00:
        return this.#code(date().getUTCSeconds());
      case 0x02:
        return this.#code(date().getUTCMinutes());
      case 0x04:
        return this.#hour(date().getUTCHours());
      case 0x06:
        return this.#code(date().getUTCDay() + 1);
      case 0x07:
        return this.#code(date().getUTCDate());
      case 0x08:
        return this.#code(date().getUTCMonth() + 1);
      case 0x09:
        return this.#code(date().getUTCFullYear() % 100);
      case CMOS_CENTURY:
        return this.#code(Math.floor(date().getUTCFullYear() / 100));
      default:
        return undefined;
    }
  }

  #hour(hour: number): number {
    if ((this.#cmos[REG_B]! & B_24_HOURS) !== 0) return this.#code(hour);
    return this.#code(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0);
  }

  #code(value: number): number {
    if ((this.#cmos[REG_B]! & B_BINARY) !== 0) return value;
    return (Math.floor(value / 10) << 4) | (value % 10);
  }

  #arm(): void {
    const enabled = this.#cmos[REG_B]!;
    const rate = this.#cmos[REG_A]! & 15;
    const nowNs = this.#clock.nowNs;
    if ((enabled & (B_UPDATE | B_ALARM)) !== 0) {
      const leftNs = NS_PER_SECOND - this.#clock.wallClock().nanoseconds;
      this.#timers.set(RTC_SECOND_TIMER, nowNs + leftNs);
    } else this.#timers.cancel(RTC_SECOND_TIMER);
    if ((enabled & B_PERIODIC) !== 0 && rate !== 0) {
      // Rates 1 and 2 are those of 8 and 9.
      const divider = 2 ** ((rate < 3 ? rate + 7 : rate) - 1);
      const periodNs = (divider * NS_PER_SECOND) / RTC_HZ;
      this.#timers.set(RTC_TIMER, Math.ceil((Math.floor(nowNs / periodNs) + 1) * periodNs));
    } else this.#timers.cancel(RTC_TIMER);
  }

  get #isUpdating(): boolean {
    return this.#clock.wallClock().nanoseconds >= NS_PER_SECOND - UPDATE_NS;
  }

  #update(): void {
    const isDue = (this.#cmos[REG_B]! & this.#cmos[REG_C]! & 0x70) !== 0;
    if (isDue) {
      this.#cmos[REG_C]! |= C_REQUEST;
      this.#irq.raise();
    } else this.#irq.lower();
  }
}
