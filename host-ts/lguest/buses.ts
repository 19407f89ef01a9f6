/**
 * The two device varieties of lguest over the same devices. Which one a guest has is known at LGUEST_INIT at the latest, and
 * no guest touches a device before that, so every bus that may be needed is planned at the start and one is published then.
 */

import { LGUEST_DEVICE_PAGES } from "../../abi/lguest.ts";
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import { VCPU_LG_DEVICE_FRAMES } from "../../abi/vcpu.ts";
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
}

/** Plans the buses that `wanted` allows. Throws ConfigError when the devices do not fit one of them. */
export function planBuses(
  host: PersonalityHost,
  interrupts: LguestInterrupts,
  wanted: "auto" | Variety,
): LguestBuses {
  const { memory } = host;
  const irq = (number: number) => interrupts.port(number);
  const kill = (reason: string) => host.kill(reason);
  setDevicePages(host);
  const [console, ...others] = host.devices;
  const inPageOrder = console === undefined ? others : [...others, console];

  const plannedPage = wanted === "pci" ? undefined : new DevicePageBus({ memory, irq, kill });
  if (plannedPage !== undefined) addAll(plannedPage, inPageOrder);
  const mmioStart = memory.ramBytes + LGUEST_DEVICE_PAGES * PAGE_BYTES;
  const mmioEnd = memory.ramBytes + PCI_WINDOW_FRAMES * PAGE_BYTES;
  const plannedPci =
    wanted === "page" ? undefined : new VirtioPciBus({ memory, mmioStart, mmioEnd, irq });
  if (plannedPci !== undefined) addAll(plannedPci, host.devices);

  let chosen: Variety | undefined;
  return {
    get page() {
      return chosen === "page" ? plannedPage : undefined;
    },
    get pci() {
      return chosen === "pci" ? plannedPci?.pci : undefined;
    },
    choose(variety) {
      chosen = variety;
      if (variety === "pci") setPciWindow(host);
      else plannedPage?.publish();
    },
    save() {
      const bus = chosen === "page" ? plannedPage : plannedPci;
      return { variety: chosen, bus: chosen === undefined ? undefined : bus?.save() };
    },
  };
}

function addAll(bus: DeviceBus, devices: PersonalityHost["devices"]): void {
  for (const device of devices) bus.add(device);
}

/** Old bus: RAM-like pages above RAM hold descriptors and rings. */
function setDevicePages({ core, guest, memory, vcpu }: PersonalityHost): void {
  const limitFrames = (memory.ramBytes >>> PAGE_BITS) + LGUEST_DEVICE_PAGES;
  core.exports.guestSetLimits(guest, limitFrames, 0, 0);
  memory.setLimit(limitFrames * PAGE_BYTES);
  vcpu.setU32(VCPU_LG_DEVICE_FRAMES, limitFrames);
}

/** pci: everything above RAM is device registers, and no page of it is memory. */
function setPciWindow({ core, guest, memory, vcpu }: PersonalityHost): void {
  const ramFrames = memory.ramBytes >>> PAGE_BITS;
  core.exports.guestSetLimits(guest, ramFrames, ramFrames, ramFrames + PCI_WINDOW_FRAMES);
  memory.setLimit(memory.ramBytes);
  vcpu.setU32(VCPU_LG_DEVICE_FRAMES, ramFrames + PCI_WINDOW_FRAMES);
}
