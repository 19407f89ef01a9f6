/**
 * The two device varieties of lguest over the same devices. Which one a guest has is known at LGUEST_INIT at the latest, and
 * no guest touches a device before that, so every bus that may be needed is planned at the start and one is published then.
 */

import { LGUEST_DEVICE_PAGES } from "../../abi/lguest.ts";
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import { ConfigError } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { DeviceBus } from "../base/ports.ts";
import type { PciBus } from "../devices/pci.ts";
import { VirtioPciBus } from "../devices/virtio-pci.ts";
import { DevicePageBus } from "./device-page.ts";
import type { Variety } from "./handshake.ts";
import type { LguestInterrupts } from "./interrupts.ts";

/** Frames of memory-mapped device space that the pci variety has above RAM. */
const PCI_WINDOW_FRAMES = 2 * LGUEST_DEVICE_PAGES;

/** The buses of one guest. */
export interface LguestBuses {
  /** The chosen bus; the other one, and both before LGUEST_INIT, are undefined. */
  readonly page: DevicePageBus | undefined;
  readonly pci: PciBus | undefined;
  choose(variety: Variety): void;
  save(): Record<string, unknown>;
  /** Chooses the saved variety and continues it; what that published is in memory already. */
  restore(state: Record<string, unknown>): void;
}

/**
 * Plans the buses that `wanted` allows. With "auto" one of them is enough, and a guest that turns out to need the other dies
 * by name. Throws ConfigError when the devices fit none.
 */
export function planBuses(
  host: PersonalityHost,
  interrupts: LguestInterrupts,
  wanted: "auto" | Variety,
): LguestBuses {
  const { memory } = host;
  const irq = (number: number) => interrupts.port(number);
  const kill = (reason: string) => host.kill(reason);
  const mmioStart = memory.ramBytes + LGUEST_DEVICE_PAGES * PAGE_BYTES;
  const mmioEnd = memory.ramBytes + PCI_WINDOW_FRAMES * PAGE_BYTES;
  setDevicePages(host);
  // The order in which Linux numbers them: the console is device 1 on PCI, and the last on the page.
  const [console, ...others] = host.devices;
  const inPageOrder = console === undefined ? others : [...others, console];

  const refusals: Partial<Record<Variety, ConfigError>> = {};
  const plan = <Bus extends DeviceBus>(
    variety: Variety,
    devices: PersonalityHost["devices"],
    make: () => Bus,
  ): Bus | undefined => {
    if (wanted !== "auto" && wanted !== variety) return undefined;
    try {
      const bus = make();
      for (const device of devices) bus.add(device);
      return bus;
    } catch (error) {
      if (!(error instanceof ConfigError) || wanted !== "auto") throw error;
      refusals[variety] = error;
      return undefined;
    }
  };
  const page = plan("page", inPageOrder, () => new DevicePageBus({ memory, irq, kill }));
  const pci = plan(
    "pci",
    host.devices,
    () => new VirtioPciBus({ memory, mmioStart, mmioEnd, irq }),
  );
  if (page === undefined && pci === undefined) throw refusals.page;

  let chosen: Variety | undefined;
  return {
    get page() {
      return chosen === "page" ? page : undefined;
    },
    get pci() {
      return chosen === "pci" ? pci?.pci : undefined;
    },
    choose(variety) {
      chosen = variety;
      const refusal = refusals[variety];
      if (refusal !== undefined) host.kill(refusal.message);
      if (variety === "pci") setPciWindow(host);
      else page?.publish();
    },
    save() {
      const bus = chosen === "page" ? page : pci;
      return chosen === undefined ? {} : { variety: chosen, bus: bus?.save() };
    },
    restore(state) {
      chosen = state.variety as Variety | undefined;
      if (chosen === "pci") setPciWindow(host);
      else setDevicePages(host);
      const bus = chosen === "page" ? page : pci;
      if (chosen !== undefined) bus?.restore(state.bus as Record<string, unknown>);
    },
  };
}

/** Old bus: RAM-like pages above RAM hold descriptors and rings. */
function setDevicePages({ core, guest, memory }: PersonalityHost): void {
  const limitFrames = (memory.ramBytes >>> PAGE_BITS) + LGUEST_DEVICE_PAGES;
  core.exports.guestSetLimits(guest, limitFrames, 0, 0);
  memory.setLimit(limitFrames * PAGE_BYTES);
}

/** pci: everything above RAM is device registers, and no page of it is memory. */
function setPciWindow({ core, guest, memory }: PersonalityHost): void {
  const ramFrames = memory.ramBytes >>> PAGE_BITS;
  core.exports.guestSetLimits(guest, ramFrames, ramFrames, ramFrames + PCI_WINDOW_FRAMES);
  memory.setLimit(memory.ramBytes);
}
