/**
 * The `bare` personality: a plain machine for kernels that expect hardware. Multiboot 1, PVH or a ROM at the reset vector;
 * serial port, timers, interrupt controllers, and the ports by which test kernels report and end.
 */
import { SLP_TYP_S3, SLP_TYP_S5 } from "../../abi/acpi.ts";
import { APIC_BASE_BSP, APIC_BASE_ENABLE } from "../../abi/apic.ts";
import {
  PC_RESET_OFFSET,
  PC_RESET_SELECTOR,
  PORT_PIC_MASTER,
  PORT_PIC_SLAVE,
} from "../../abi/pc.ts";
import { KILL_BAD_ADDRESS, VCPU_APIC_BASE, VCPU_HALTED } from "../../abi/vcpu.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { HostInput } from "../base/ports.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { ResetKind } from "../devices/legacy/keyboard.ts";
import { checkVersion } from "../devices/records.ts";
import { APIC_RESET_GPA, Chipset } from "./chipset.ts";
import { type Resume, takeWarmReset, wakingVector } from "./firmware.ts";
import { hasApic } from "./interrupts.ts";
import { Output } from "./output.ts";
import { Processor } from "./processor.ts";
import { type Domain, startOfDay } from "./start-of-day.ts";

const PAGE_MASK = 0xfffff000;
const STATE_VERSION = 2;
const PIC_END_OF_INTERRUPT = 0x20;

/** What the personality is told besides the domain. */
export interface BareSettings {
  /** What a triple fault is: the guest's death, or a restart as on hardware. */
  readonly onTripleFault: "kill" | "restart";
  /** What becomes of a machine that only an NMI from outside could wake. */
  readonly onStuck: "end" | "wait";
  /** What a jump to the firmware's entry point does: the kernel starts over in memory as it is, or the life ends as a restart. */
  readonly onFirmwareEntry: "start over" | "restart";
}

/** Builds the machine in fresh guest memory. Throws ImageError when kernel and modules do not fit. */
export function createBare(
  host: PersonalityHost,
  domain: Domain,
  settings: BareSettings,
): Personality {
  startOfDay(host, domain);
  placeApics(host);
  return new Bare(host, domain, settings);
}

function placeApics({ vcpus }: PersonalityHost): void {
  for (const vcpu of vcpus) {
    const flags = APIC_BASE_ENABLE + (vcpu.id === 0 ? APIC_BASE_BSP : 0);
    vcpu.setU64(VCPU_APIC_BASE, BigInt(APIC_RESET_GPA + flags));
  }
}

class Bare implements Personality {
  readonly name = "bare";
  readonly callNames = [];
  readonly #host: PersonalityHost;
  readonly #domain: Domain;
  readonly #settings: BareSettings;
  readonly #chipset: Chipset;
  /** By number: the first one starts by itself, the others wait for it. */
  readonly #processors: readonly Processor[];
  readonly #output: Output;
  /** Suspended to memory: no processor runs until an event comes. */
  #isAsleep = false;
  #mustStartOver = false;

  constructor(host: PersonalityHost, domain: Domain, settings: BareSettings) {
    this.#host = host;
    this.#domain = domain;
    this.#settings = settings;
    this.#output = new Output((bytes) => host.print(bytes));
    this.#chipset = new Chipset({
      host,
      rom: this.#isRom ? domain.image.segments[0]?.bytes : undefined,
      apicGpa: () => this.#apicGpa,
      print: (byte) => this.#output.put(byte, host.clock.retired),
      exit: (code) => this.#end("exit", `the guest exits with code ${code}`, code),
      reset: (kind) => this.#reset(kind),
      sleep: (type) => this.#sleep(type),
      wake: () => this.#wake(),
      startOver: () => {
        this.#mustStartOver = true;
      },
      processorMessage: (id, message) => this.#processors[id]!.receive(message),
    });
    const { pic, lapics } = this.#chipset;
    this.#processors = host.vcpus.map(
      (vcpu) => new Processor(host.core, vcpu, pic, lapics[vcpu.id]!),
    );
  }

  runHypercalls(): void {}

  deliverNotify(): void {}

  /** An instruction that would be a hypercall elsewhere cannot leave the core of a plain machine. */
  requestHypercalls(): void {}

  deliverInterrupts(): void {
    this.#output.settle(this.#host.clock.retired);
    if (this.#mustStartOver) this.#startOver();
    const processor = this.#own;
    if (processor.obeySignals() === "initialised") this.#bootstrap();
    if (this.#isAsleep || processor.isWaiting || processor.interrupts.deliver()) return;
    this.#output.flush();
    this.#host.killFromCore();
  }

  isHalted(vcpu: VcpuBlock): boolean {
    return this.#isAsleep || this.#processors[vcpu.id]!.isHalted;
  }

  canWake(vcpu: VcpuBlock): boolean {
    return !this.#isAsleep && this.#processors[vcpu.id]!.canWake;
  }

  get isStuck(): boolean {
    if (this.#isAsleep || this.#chipset.canForce) return false;
    return this.#processors.every((processor) => processor.isStuck);
  }

  get sliceLimit(): number {
    return Number.POSITIVE_INFINITY;
  }

  timerExpired(name: string): void {
    this.#chipset.timerExpired(name);
  }

  receive(input: HostInput): void {
    this.#chipset.receive(input);
  }

  get pendingInputBytes(): number {
    return this.#chipset.pendingInputBytes;
  }

  halt(): void {
    this.#host.vcpu.setU32(VCPU_HALTED, 1);
    this.#output.flush();
    if (!this.isStuck || this.#settings.onStuck === "wait") return;
    const code = this.#chipset.debug.postCodes.at(-1);
    const progress = code === undefined ? "" : `, last progress code 0x${code.toString(16)}`;
    this.#end("deadlocked", `halted with interrupts off: nothing can wake it${progress}`);
  }

  tripleFault(): void {
    this.#output.flush();
    if (this.#settings.onTripleFault === "restart") this.#host.end("restart", "triple fault");
    else this.#host.kill("triple fault");
  }

  coprocessorError(): void {
    this.#chipset.coprocessor.reportError();
  }

  trap(vector: number, errorCode: number, address: number): void {
    const { core, vcpu } = this.#host;
    if (core.exports.deliverTrap(vcpu.ptr, vector, errorCode, address) === 0) {
      this.#host.killFromCore();
    }
  }

  ioRead(port: number, size: number): number {
    return this.#chipset.ioRead(port, size);
  }

  ioWrite(port: number, size: number, value: number): void {
    this.#chipset.ioWrite(port, size, value);
  }

  mmioRead(gpa: number, size: number): number {
    return this.#chipset.mmioRead(gpa, size);
  }

  mmioWrite(gpa: number, size: number, value: number): void {
    this.#chipset.mmioWrite(gpa, size, value);
  }

  killText(code: number, args: readonly number[]): string {
    const [address = 0] = args;
    const at = `0x${address.toString(16)}`;
    if (code === KILL_BAD_ADDRESS) return `one instruction with too many device accesses, at ${at}`;
    return `the machine broke down (${code}) at ${at}`;
  }

  save(): Record<string, unknown> {
    const processors = this.#processors.map((processor) => processor.save());
    return {
      version: STATE_VERSION,
      chipset: this.#chipset.save(),
      processors,
      isAsleep: this.#isAsleep,
      mustStartOver: this.#mustStartOver,
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the plain machine", STATE_VERSION);
    this.#chipset.restore(state.chipset as Record<string, unknown>);
    this.#isAsleep = state.isAsleep as boolean;
    this.#mustStartOver = state.mustStartOver as boolean;
    const processors = state.processors as Record<string, unknown>[];
    for (const [id, processor] of this.#processors.entries())
      processor.restore(processors[id] ?? {});
  }

  get #own(): Processor {
    return this.#processors[this.#host.vcpu.id]!;
  }

  get #apicGpa(): number | undefined {
    const { vcpu } = this.#host;
    return hasApic(vcpu) ? (vcpu.u32(VCPU_APIC_BASE) & PAGE_MASK) >>> 0 : undefined;
  }

  /** The guest's own firmware is its kernel. */
  get #isRom(): boolean {
    return this.#domain.image.protocol === "reset-vector";
  }

  /**
   * The first processor is at its reset state: a ROM goes on from there; else it goes where the guest left word to go on, and
   * without such word the machine restarts.
   */
  #bootstrap(): void {
    if (this.#isRom) this.#processors[0]!.goTo(PC_RESET_SELECTOR, PC_RESET_OFFSET);
    else if (!this.#resume(takeWarmReset(this.#chipset.rtc, this.#host.memory)))
      this.#end("restart", "the guest reset its processor");
  }

  /** @returns whether there was somewhere to go on. */
  #resume(resume: Resume | undefined): boolean {
    if (resume === undefined) return false;
    if (resume.endsInterrupt) {
      for (const port of [PORT_PIC_SLAVE, PORT_PIC_MASTER])
        this.#chipset.ioWrite(port, 1, PIC_END_OF_INTERRUPT);
    }
    this.#processors[0]!.goTo(resume.selector, resume.offset);
    return true;
  }

  /** The line that resets the processor goes to all of them. */
  #reset(kind: ResetKind): void {
    if (kind === "machine") this.#end("restart", "the guest reset its machine");
    else for (const processor of this.#processors) processor.init();
  }

  /** Power off, or suspend to memory; other types of sleep do not exist. */
  #sleep(type: number): void {
    if (type === SLP_TYP_S5) this.#end("power-off", "the guest powered off");
    if (type !== SLP_TYP_S3) return;
    this.#output.flush();
    this.#isAsleep = true;
  }

  /** Memory and chips are as they were; the processors are not, and firmware sends the first one to the waking vector. */
  #wake(): void {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#chipset.acpi.noteWake();
    for (const processor of this.#processors) processor.reset();
    if (this.#isRom) this.#processors[0]!.goTo(PC_RESET_SELECTOR, PC_RESET_OFFSET);
    else if (!this.#resume(wakingVector(this.#host.memory)))
      this.#end("restart", "the guest slept and left no waking vector");
  }

  /** As firmware does that is entered by a program: memory and chips stay, processors and their APICs begin anew. */
  #startOver(): void {
    this.#mustStartOver = false;
    if (this.#isRom) return;
    if (this.#settings.onFirmwareEntry === "restart") {
      this.#end("restart", "the guest started its firmware over");
      return;
    }
    for (const processor of this.#processors) processor.reset();
    placeApics(this.#host);
    this.#chipset.lapics[0]!.setUpByFirmware();
    startOfDay(this.#host, this.#domain, false);
  }

  #end(
    kind: "power-off" | "exit" | "restart" | "deadlocked",
    reason: string,
    exitCode?: number,
  ): void {
    this.#output.flush();
    this.#host.end(kind, reason, exitCode);
  }
}
