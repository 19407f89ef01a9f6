/**
 * The xen-pv personality: 32-bit (PAE) kernels built for Xen's paravirtual interface. The core performs what concerns page tables,
 * descriptors, traps and the vCPU itself; here are the other hypercalls, event channels, timers, memory, grants and the rings by which the
 * domain reaches the Host, which plays domain 0.
 */
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  VCPU_EXIT_REASON,
  VCPU_HALTED,
  VCPU_XEN_INFO,
  VCPU_XEN_LOOK,
} from "../../abi/vcpu.ts";
import {
  GNTTAB_RESERVED_CONSOLE,
  GNTTAB_RESERVED_XENSTORE,
  SHUTDOWN_CRASH,
  SHUTDOWN_POWEROFF,
  SHUTDOWN_REBOOT,
  SHUTDOWN_SOFT_RESET,
  SHUTDOWN_SUSPEND,
  SHUTDOWN_WATCHDOG,
  VIRQ_DEBUG,
} from "../../abi/xen.ts";
import {
  SI_VCPU_INFO,
  VCPU_INFO_BYTES,
  VI_UPCALL_MASK,
  XEN_LEGACY_MAX_VCPUS,
} from "../../abi/xen-layout.ts";
import { BugError, SnapshotError } from "../base/errors.ts";
import type { FaultPath } from "../base/fault-path.ts";
import type { GuestEndKind, Personality, PersonalityHost } from "../base/personality.ts";
import type { HostInput } from "../base/ports.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { checkVersion } from "../devices/records.ts";
import { MemoryPage, type SplitDevice } from "../devices/xen-ports.ts";
import { buildDomain, type Domain } from "./builder.ts";
import { ClassicPath } from "./classic-path.ts";
import { ConsoleRing } from "./console-ring.ts";
import { DomainControl } from "./control.ts";
import { type Residence, XenDomain } from "./domain.ts";
import { GrantedPages } from "./granted-pages.ts";
import { CALL_NAMES, performHypercall } from "./hypercall-table.ts";
import { type DomainImage, encodeImage } from "./image/format.ts";
import { restoreMemory, restoreProcessors } from "./image/restore.ts";
import { saveDomain } from "./image/save.ts";
import { coreDeathText } from "./kill-reasons.ts";
import { setProcessor } from "./processor.ts";
import { setFaultPath } from "./trap-policy.ts";
import type { XenMachine } from "./xen-machine.ts";
import { Xenbus } from "./xenbus.ts";
import { populateDomain, removeDomain } from "./xenstore/domain.ts";
import { StoreAccess } from "./xenstore/host-access.ts";
import { XenstoreRing } from "./xenstore/ring.ts";
import type { Xenstore } from "./xenstore/xenstore.ts";

const STATE_VERSION = 4;
/** Arguments that a hypercall has at most. */
const MAX_ARGS = 5;
const NO_ANSWER = 0xffffffff;

/** What the personality is told besides the domain. */
export interface XenSettings {
  /** Seed of a scrambled physical-to-machine list; 0 for one in order. */
  readonly scramble: number;
  /** Whether the domain may have its events in queues. */
  readonly fifo: boolean;
  /** What becomes of it when it suspends itself unasked. */
  readonly onSuspend: "cancel" | "stand";
  readonly faultPath: FaultPath;
  /** Of the guest, for the store. */
  readonly name: string;
  /** What the domain's image says besides. */
  readonly cpu: string;
  readonly startTimeMs: number;
  /** Disks and network cards, in the order of the options. */
  readonly devices: readonly SplitDevice[];
  /** Where the domain is to live. */
  readonly machine: XenMachine;
  /** Its number there; undefined: the lowest that is free. */
  readonly domid: number | undefined;
}

/** How each SHUTDOWN_* ends the guest. */
const ENDS: Readonly<Record<number, readonly [GuestEndKind, string]>> = {
  [SHUTDOWN_POWEROFF]: ["power-off", "the domain shut down: power off"],
  [SHUTDOWN_REBOOT]: ["restart", "the domain shut down: reboot"],
  [SHUTDOWN_CRASH]: ["panic", "the domain shut down: crash"],
  [SHUTDOWN_WATCHDOG]: ["panic", "the domain shut down: its watchdog expired"],
  [SHUTDOWN_SOFT_RESET]: ["restart", "the domain shut down: soft reset"],
};

/**
 * Builds the domain in fresh guest memory, or restores one from its image.
 * @throws ImageError when it does not fit, SnapshotError for an image that breaks a rule, ConfigError when the domain's number is taken
 */
export function createXenPv(
  host: PersonalityHost,
  domain: Domain | DomainImage,
  settings: XenSettings,
): Personality {
  const { machine } = settings;
  const domid = machine.reserve(settings.domid);
  try {
    return new XenPv(host, domain, settings, { machine, domid });
  } catch (error) {
    removeDomain(machine.store, domid);
    machine.leave(domid);
    throw error;
  }
}

class XenPv implements Personality {
  readonly name = "xen-pv";
  readonly callNames = CALL_NAMES;
  readonly #host: PersonalityHost;
  readonly #domain: XenDomain;
  readonly #console: ConsoleRing;
  readonly #store: Xenstore;
  readonly #storeRing: XenstoreRing;
  readonly #bus: Xenbus;
  readonly control: DomainControl;
  readonly store: StoreAccess;
  /** Pages that the Host writes as long as the domain lives: no guest makes page tables of them. */
  readonly #heldMfns: readonly number[];
  /** On the host path: runs the guest in place of the core's own verb. */
  readonly run?: (budget: number) => number;
  /** Of the call that is performed: calls leave too often for a list of their own. */
  readonly #args: number[] = Array(MAX_ARGS).fill(0);

  constructor(
    host: PersonalityHost,
    domain: Domain | DomainImage,
    settings: XenSettings,
    home: Residence,
  ) {
    this.#host = host;
    this.#store = home.machine.store;
    const ramFrames = host.memory.ramBytes >>> PAGE_BITS;
    const image = "about" in domain ? domain : undefined;
    // Time goes on where it stopped.
    host.clock.jumpTo(image?.about.systemTimeNs ?? 0);
    this.#domain = new XenDomain(
      host,
      home,
      ramFrames,
      settings.scramble,
      (reason) => this.#shutDown(reason),
      settings.fifo,
      image?.pages.map(({ pfn }) => pfn),
    );
    this.#initialiseSharedInfo();
    const { channels, grants, map, reservation } = this.#domain;
    const serveStore = () => this.#storeRing.serve();
    const serveConsole = () => this.#console.serve();
    const storePort = channels.openToHost(serveStore);
    const consolePort = channels.openToHost(serveConsole);
    const ports = { storePort, consolePort };
    const frames = { p2m: reservation.firstP2m, sharedInfoMfn: map.sharedInfoMfn };
    const start =
      "about" in domain ? undefined : buildDomain(host.memory, domain, { ...frames, ...ports });
    const { storeMfn, consoleMfn } = start ?? restoreMemory(this.#domain, image!, ports);
    this.#heldMfns = [storeMfn, consoleMfn];
    for (const mfn of this.#heldMfns) {
      if (!reservation.hold(mfn)) throw new SnapshotError("a ring of the domain's is no memory");
    }
    grants.grantToHost(GNTTAB_RESERVED_CONSOLE, consoleMfn);
    grants.grantToHost(GNTTAB_RESERVED_XENSTORE, storeMfn);
    this.#console = new ConsoleRing({
      memory: host.memory,
      gpa: consoleMfn * PAGE_BYTES,
      print: (bytes) => host.print(bytes),
      notify: () => channels.notifyFromHost(consolePort, serveConsole),
    });
    // An image may be refused here, and must not have reached the store by then.
    if (start !== undefined) setProcessor(host, start);
    else restoreProcessors(this.#domain, image!);
    populateDomain(this.#store, {
      domid: this.#domain.domid,
      name: settings.name,
      memoryKib: host.memory.ramBytes / 1024,
      vcpus: host.vcpus.length,
      storeMfn,
      consoleMfn,
      ...ports,
    });
    this.#storeRing = new XenstoreRing({
      store: this.#store,
      domid: this.#domain.domid,
      page: new MemoryPage(host.memory, storeMfn * PAGE_BYTES),
      event: { notify: () => channels.notifyFromHost(storePort, serveStore) },
    });
    this.#bus = new Xenbus({
      store: this.#store,
      domid: this.#domain.domid,
      grants: new GrantedPages(host.memory, grants),
      events: channels,
    });
    for (const device of settings.devices) this.#bus.add(device);
    if (image !== undefined) this.#console.goOn(image.consoleInput);
    for (const vcpu of host.vcpus) setFaultPath(vcpu, settings.faultPath);
    if (settings.faultPath === "host") {
      const classic = new ClassicPath(host);
      this.run = (budget) => classic.run(budget);
    }
    this.#domain.wasSuspended = image !== undefined;
    this.control = new DomainControl({
      store: this.#store,
      domid: this.#domain.domid,
      goOn: (answer) => {
        this.#domain.wasSuspended = true;
        this.#domain.declaredReason = undefined;
        host.core.exports.xenReturn(host.vcpu.ptr, answer);
      },
      raiseDebug: () => {
        for (const { id } of host.vcpus) channels.raiseVirq(VIRQ_DEBUG, id);
      },
      image: (waitingInput) => {
        const consoleInput = Uint8Array.from([...this.#console.pendingInput, ...waitingInput]);
        const count = (kind: string) =>
          settings.devices.filter((each) => each.kind === kind).length;
        const devices = { disks: count("vbd"), networkCards: count("vif") };
        return encodeImage(saveDomain(this.#domain, { ...settings, ...devices, consoleInput }));
      },
      onSuspend: settings.onSuspend,
    });
    this.store = new StoreAccess(this.#store, this.#domain.domid);
    home.machine.enter(this.#domain);
  }

  dispose(): void {
    const { machine, domid } = this.#domain;
    this.#bus.close();
    this.control.close();
    for (const mfn of this.#heldMfns) this.#domain.reservation.release(mfn);
    this.#domain.destroy();
    this.#store.release(domid);
    removeDomain(this.#store, domid);
    machine.leave(domid);
  }

  /** The exit record itself remembers the call. */
  requestHypercalls(): void {}

  runHypercalls(): void {
    const { core, vcpu } = this.#host;
    if (vcpu.exitReason !== EXIT_HYPERCALL) return;
    vcpu.setU32(VCPU_EXIT_REASON, EXIT_BUDGET);
    const number = vcpu.exitArg(0);
    const args = this.#args;
    for (let i = 0; i < MAX_ARGS; i++) args[i] = vcpu.exitArg(1 + i);
    this.#host.countHypercall(number);
    const result = performHypercall(this.#domain, number, args);
    if (result !== undefined) core.exports.xenReturn(vcpu.ptr, result);
    this.#domain.waiting.wakeReady();
  }

  /** Notifications of other personalities have no counterpart: a device is told by its event channel. */
  deliverNotify(): void {}

  /** An event is taken by the core when it enters the guest; here a vCPU that waits for one goes on. */
  deliverInterrupts(): void {
    const { vcpu } = this.#host;
    if (this.isHalted(vcpu) && this.canWake(vcpu)) this.#domain.waiting.wake(vcpu);
  }

  isHalted(vcpu: VcpuBlock): boolean {
    return vcpu.u32(VCPU_HALTED) !== 0;
  }

  canWake(vcpu: VcpuBlock): boolean {
    return this.#domain.waiting.canWake(vcpu);
  }

  get sliceLimit(): number {
    return Number.POSITIVE_INFINITY;
  }

  timerExpired(name: string): void {
    const isTaken = this.#domain.timers.expired(name) || this.#domain.waiting.expired(name);
    if (!isTaken) throw new BugError(`a timer that nobody set: ${name}`);
    this.#domain.waiting.wakeReady();
  }

  receive(input: HostInput): void {
    if (input.kind === "console") this.#console.receive(input.data);
    else if (input.kind === "request") this.control.receive(input);
    else if (input.kind === "xenstore") this.store.receive(input);
    else this.#bus.receive(input);
    this.#domain.waiting.wakeReady();
  }

  /** One has lost its turn, the other is running now. */
  turnPassed(before: VcpuBlock): void {
    const { runstates } = this.#domain;
    runstates.update(before);
    runstates.update(this.#host.vcpu);
    this.#host.vcpu.setU32(VCPU_XEN_LOOK, 1);
  }

  get pendingInputBytes(): number {
    return this.#console.pendingInput.length;
  }

  halt(): void {
    throw new BugError("HLT of a Xen guest left the core");
  }

  trap(vector: number): never {
    throw new BugError(`trap ${vector} left to the run loop, where the core judges them all`);
  }

  /** No hardware behind any port. */
  ioRead(_port: number, size: number): number {
    return size === 4 ? NO_ANSWER : 2 ** (8 * size) - 1;
  }

  ioWrite(): void {}

  mmioRead(): number {
    return NO_ANSWER;
  }

  mmioWrite(): void {}

  killText(code: number, args: readonly number[]): string {
    this.#console.drain();
    return coreDeathText(code, args);
  }

  save(): Record<string, unknown> {
    const { channels, timers, grants, reservation, vcpus, runstates, waiting } = this.#domain;
    return {
      version: STATE_VERSION,
      vcpus: vcpus.save(),
      channels: channels.save(),
      timers: timers.save(),
      grants: grants.save(),
      grantMaps: this.#domain.grantMaps.save(),
      reservation: reservation.save(),
      pirqs: this.#domain.pirqs.save(),
      runstates: runstates.save(),
      waiting: waiting.save(),
      console: this.#console.save(),
      store: this.#store.save(),
      storeRing: this.#storeRing.save(),
      bus: this.#bus.save(),
      control: this.control.save(),
      wasSuspended: this.#domain.wasSuspended,
      declaredReason: this.#domain.declaredReason,
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the Xen PV personality", STATE_VERSION);
    if (this.#domain.machine.size > 1) {
      throw new SnapshotError("other domains use the store that would be replaced");
    }
    const part = (name: string) => state[name] as Record<string, unknown>;
    const { channels, timers, grants, reservation, vcpus, runstates, waiting } = this.#domain;
    vcpus.restore(part("vcpus"));
    channels.restore(part("channels"));
    timers.restore(part("timers"));
    grants.restore(part("grants"));
    this.#domain.grantMaps.restore(part("grantMaps"));
    reservation.restore(part("reservation"));
    this.#domain.pirqs.restore(part("pirqs"));
    runstates.restore(part("runstates"));
    waiting.restore(part("waiting"));
    this.#console.restore(part("console"));
    this.#store.restore(part("store"));
    this.#storeRing.restore(part("storeRing"));
    this.#bus.restore(part("bus"));
    this.control.restore(part("control"));
    this.#domain.wasSuspended = state.wasSuspended as boolean;
    this.#domain.declaredReason = state.declaredReason as number | undefined;
  }

  /** Everything zero but the masks, the wall clock, and each vCPU's time. */
  #initialiseSharedInfo(): void {
    const { memory, vcpus } = this.#host;
    const { sharedInfoGpa, timers } = this.#domain;
    for (let id = 0; id < XEN_LEGACY_MAX_VCPUS; id++) {
      memory.writeU8(sharedInfoGpa + SI_VCPU_INFO + id * VCPU_INFO_BYTES + VI_UPCALL_MASK, 1);
    }
    timers.publishWallClock(sharedInfoGpa);
    for (const vcpu of vcpus) {
      const info = this.#domain.legacyInfoGpa(vcpu.id);
      vcpu.setU32(VCPU_XEN_INFO, info);
    }
    timers.keepClock(true);
  }

  /** What is left in the console ring is printed first. */
  #shutDown(reason: number): number | undefined {
    this.#console.drain();
    if (reason === SHUTDOWN_SUSPEND) return this.control.suspend();
    const [kind, text] = ENDS[reason] ?? ["panic", `the domain shut down: reason ${reason}`];
    this.#host.end(kind, text);
    return 0;
  }
}
