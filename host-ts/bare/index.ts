/**
 * The `bare` personality: a plain machine for kernels that expect hardware. Multiboot 1, PVH or a ROM at the reset vector;
 * serial port, timers, interrupt controllers, and the ports by which test kernels report and end.
 */
import { SLP_TYP_S5 } from "../../abi/acpi.ts";
import { APIC_BASE_BSP, APIC_BASE_ENABLE, DELIVERY_INIT } from "../../abi/apic.ts";
import { KILL_BAD_ADDRESS, VCPU_APIC_BASE, VCPU_HALTED } from "../../abi/vcpu.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { HostInput } from "../base/ports.ts";
import type { ResetKind } from "../devices/legacy/keyboard.ts";
import { checkVersion } from "../devices/records.ts";
import { APIC_RESET_GPA, Chipset } from "./chipset.ts";
import { BareInterrupts } from "./interrupts.ts";
import { Output } from "./output.ts";
import { type Domain, startOfDay } from "./start-of-day.ts";

const PAGE_MASK = 0xfffff000;
const STATE_VERSION = 1;

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
  const base = BigInt(APIC_RESET_GPA + APIC_BASE_ENABLE + APIC_BASE_BSP);
  host.vcpu.setU64(VCPU_APIC_BASE, base);
  const isRom = domain.image.protocol === "reset-vector";
  return new Bare(host, settings, isRom ? domain.image.segments[0]?.bytes : undefined);
}

class Bare implements Personality {
  readonly name = "bare";
  readonly coreCalls = [];
  readonly #host: PersonalityHost;
  readonly #settings: BareSettings;
  readonly #chipset: Chipset;
  readonly #interrupts: BareInterrupts;
  readonly #output: Output;

  constructor(host: PersonalityHost, settings: BareSettings, rom: Uint8Array | undefined) {
    this.#host = host;
    this.#settings = settings;
    this.#output = new Output((bytes) => host.print(bytes));
    this.#chipset = new Chipset({
      host,
      rom,
      apicGpa: () => this.#apicGpa,
      print: (byte) => this.#output.put(byte, host.vcpu.retired),
      exit: (code) => this.#end("exit", `the guest exits with code ${code}`, code),
      reset: (kind) => this.#reset(kind),
      sleep: (type) => {
        if (type === SLP_TYP_S5) this.#end("power-off", "the guest powered off");
      },
      processorMessage: ({ mode }) => {
        if (mode === DELIVERY_INIT) this.#reset("processor");
      },
    });
    this.#interrupts = new BareInterrupts(host, this.#chipset.pic, this.#chipset.lapic);
  }

  runHypercalls(): void {}

  deliverNotify(): void {}

  /** An instruction that would be a hypercall elsewhere cannot leave the core of a plain machine. */
  requestHypercalls(): void {}

  deliverInterrupts(): void {
    this.#output.settle(this.#host.vcpu.retired);
    if (this.#interrupts.deliver()) return;
    this.#output.flush();
    this.#host.killFromCore();
  }

  get isHalted(): boolean {
    return this.#host.vcpu.u32(VCPU_HALTED) !== 0;
  }

  get canWake(): boolean {
    return this.#interrupts.canWake;
  }

  get sliceLimit(): number {
    return this.#interrupts.sliceLimit;
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
    if (!this.#interrupts.isDeaf) return;
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
    return { version: STATE_VERSION, chipset: this.#chipset.save() };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the plain machine", STATE_VERSION);
    this.#chipset.restore(state.chipset as Record<string, unknown>);
  }

  get #apicGpa(): number | undefined {
    const base = this.#host.vcpu.u32(VCPU_APIC_BASE);
    return (base & APIC_BASE_ENABLE) === 0 ? undefined : (base & PAGE_MASK) >>> 0;
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
