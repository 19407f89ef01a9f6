/**
 * The `bare` personality: a plain machine for kernels that expect hardware. Multiboot 1, PVH or a ROM at the reset vector;
 * serial port, timers, interrupt controllers, and the ports by which test kernels report and end.
 */
import { SLP_TYP_S5 } from "../../abi/acpi.ts";
import { APIC_BASE_BSP, APIC_BASE_ENABLE } from "../../abi/apic.ts";
import { KILL_BAD_ADDRESS, VCPU_APIC_BASE, VCPU_HALTED } from "../../abi/vcpu.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { HostInput } from "../base/ports.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { ResetKind } from "../devices/legacy/keyboard.ts";
import { checkVersion } from "../devices/records.ts";
import { APIC_RESET_GPA, Chipset } from "./chipset.ts";
import { Output } from "./output.ts";
import { Processor } from "./processor.ts";
import { type Domain, startOfDay } from "./start-of-day.ts";

const PAGE_MASK = 0xfffff000;
const STATE_VERSION = 2;

/** What the personality is told besides the domain. */
export interface BareSettings {
  /** What a triple fault is: the guest's death, or a restart as on hardware. */
  readonly onTripleFault: "kill" | "restart";
}

/** Builds the machine in fresh guest memory. Throws ImageError when kernel and modules do not fit. */
export function createBare(
  host: PersonalityHost,
  domain: Domain,
  settings: BareSettings,
): Personality {
  startOfDay(host, domain);
  for (const vcpu of host.vcpus) {
    const flags = APIC_BASE_ENABLE + (vcpu.id === 0 ? APIC_BASE_BSP : 0);
    vcpu.setU64(VCPU_APIC_BASE, BigInt(APIC_RESET_GPA + flags));
  }
  const isRom = domain.image.protocol === "reset-vector";
  return new Bare(host, settings, isRom ? domain.image.segments[0]?.bytes : undefined);
}

class Bare implements Personality {
  readonly name = "bare";
  readonly coreCalls = [];
  readonly #host: PersonalityHost;
  readonly #settings: BareSettings;
  readonly #chipset: Chipset;
  /** By number: the first one starts by itself, the others wait for it. */
  readonly #processors: readonly Processor[];
  readonly #output: Output;

  constructor(host: PersonalityHost, settings: BareSettings, rom: Uint8Array | undefined) {
    this.#host = host;
    this.#settings = settings;
    this.#output = new Output((bytes) => host.print(bytes));
    this.#chipset = new Chipset({
      host,
      rom,
      apicGpa: () => this.#apicGpa,
      print: (byte) => this.#output.put(byte, host.clock.retired),
      exit: (code) => this.#end("exit", `the guest exits with code ${code}`, code),
      reset: (kind) => this.#reset(kind),
      sleep: (type) => {
        if (type === SLP_TYP_S5) this.#end("power-off", "the guest powered off");
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
    const processor = this.#own;
    if (processor.obeySignals() === "initialised") this.#bootstrap();
    if (processor.isWaiting || processor.interrupts.deliver()) return;
    this.#output.flush();
    this.#host.killFromCore();
  }

  isHalted(vcpu: VcpuBlock): boolean {
    return this.#processors[vcpu.id]!.isHalted;
  }

  canWake(vcpu: VcpuBlock): boolean {
    return this.#processors[vcpu.id]!.canWake;
  }

  get sliceLimit(): number {
    return this.#own.interrupts.sliceLimit;
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
    if (!this.#processors.every((processor) => processor.isStuck)) return;
    const code = this.#chipset.debug.postCodes.at(-1);
    const progress = code === undefined ? "" : `, last progress code 0x${code.toString(16)}`;
    this.#end("deadlocked", `halted with interrupts off: nothing can wake it${progress}`);
  }

  tripleFault(): void {
    this.#output.flush();
    if (this.#settings.onTripleFault === "restart") this.#host.end("restart", "triple fault");
    else this.#host.kill("triple fault");
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
    return { version: STATE_VERSION, chipset: this.#chipset.save(), processors };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the plain machine", STATE_VERSION);
    this.#chipset.restore(state.chipset as Record<string, unknown>);
    const processors = state.processors as Record<string, unknown>[];
    for (const [id, processor] of this.#processors.entries())
      processor.restore(processors[id] ?? {});
  }

  get #own(): Processor {
    return this.#processors[this.#host.vcpu.id]!;
  }

  get #apicGpa(): number | undefined {
    const base = this.#host.vcpu.u32(VCPU_APIC_BASE);
    return (base & APIC_BASE_ENABLE) === 0 ? undefined : (base & PAGE_MASK) >>> 0;
  }

  /** The first processor is at its reset state: without firmware that would go on from there, the machine starts again. */
  #bootstrap(): void {
    this.#reset("processor");
  }

  #reset(kind: ResetKind): void {
    this.#end("restart", `the guest reset its ${kind}`);
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
