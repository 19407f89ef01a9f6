/** A lguest guest over the fake core, past its handshake or before it, as the personality tests want it. */

import {
  LG_DATA_IRQ_ENABLED,
  LG_DATA_OLD_KERNEL_ADDRESS,
  LG_DATA_OLD_NOIRQ_END,
  LG_DATA_OLD_NOIRQ_START,
  LG_DATA_OLD_SYSCALL_VECTOR,
  LG_DATA_PCI_KERNEL_ADDRESS,
  LG_DATA_PCI_NOIRQ_IRET,
  LG_DATA_PCI_SYSCALL_VECTOR,
  LHCALL_LGUEST_INIT,
} from "../../abi/lguest.ts";
import { VCPU_HELD_IDT } from "../../abi/vcpu.ts";
import { HostInputs } from "../../host-ts/base/inputs.ts";
import type { BlockBackend, NetBackend } from "../../host-ts/base/ports.ts";
import { parseKernelImage } from "../../host-ts/boot/image.ts";
import { resolveConfig } from "../../host-ts/guest/config.ts";
import { Machine } from "../../host-ts/guest/machine.ts";
import type { GuestOptions } from "../../host-ts/guest/options.ts";
import { type LoopOutcome, runGuest } from "../../host-ts/guest/run-loop.ts";
import { buildElf } from "../unit/boot/images.ts";
import { call, FakeCore } from "./fake-core.ts";

export const DATA = 0x8000;
export const KERNEL = 0xc0000000;
export const NOIRQ_START = 0xc0001000;
export const NOIRQ_END = 0xc0001010;

const NO_BACKENDS = { block: [], net: [] };

/** A machine, its fake core, and what it printed. */
export class TestGuest {
  readonly fake: FakeCore;
  readonly inputs: HostInputs;
  readonly machine: Machine;
  readonly notified: number[] = [];
  printed = "";
  hostMs = 1000;

  constructor(
    options: Partial<GuestOptions> = {},
    fake = new FakeCore(),
    backends: { readonly block: BlockBackend[]; readonly net: NetBackend[] } = NO_BACKENDS,
  ) {
    this.fake = fake;
    const config = resolveConfig({ kernel: buildElf(), memoryBytes: 4 << 20, ...options });
    this.inputs = new HostInputs(config.replay);
    this.machine = new Machine(config, {
      core: fake.core,
      image: parseKernelImage(config.kernel!),
      inputs: this.inputs,
      console: {
        write: (bytes) => {
          this.printed += String.fromCharCode(...bytes);
        },
        size: () => undefined,
      },
      ...backends,
      hostMs: () => this.hostMs,
      onNotify: (address) => this.notified.push(address),
    });
  }

  /** Runs until `entries` entries of the core were made, or the guest sleeps or dies. */
  run(entries = this.fake.script.length): LoopOutcome {
    const limit = this.fake.budgets.length + entries;
    return runGuest(this.machine, () => this.fake.budgets.length >= limit);
  }

  data(field: number): number {
    return this.machine.memory.readU32(DATA + field);
  }

  setData(field: number, value: number): void {
    this.machine.memory.writeU32(DATA + field, value);
  }

  /** Gives a vector a present interrupt gate. */
  setGate(vector: number): void {
    this.machine.vcpu.setU32(VCPU_HELD_IDT + 8 * vector + 4, 0x8e00);
  }

  get death(): string | undefined {
    return this.machine.death?.reason;
  }
}

/** Fills in struct lguest_data as a guest of that variety does. */
export function fillData(guest: TestGuest, variety: "page" | "pci"): void {
  if (variety === "page") {
    guest.setData(LG_DATA_OLD_NOIRQ_START, NOIRQ_START);
    guest.setData(LG_DATA_OLD_NOIRQ_END, NOIRQ_END);
    guest.setData(LG_DATA_OLD_KERNEL_ADDRESS, KERNEL);
    guest.setData(LG_DATA_OLD_SYSCALL_VECTOR, 0x80);
  } else {
    guest.setData(LG_DATA_PCI_NOIRQ_IRET, NOIRQ_START);
    guest.setData(LG_DATA_PCI_KERNEL_ADDRESS, KERNEL);
    guest.setData(LG_DATA_PCI_SYSCALL_VECTOR, 0x80);
  }
}

/** A guest that has made LGUEST_INIT and has interrupts open. */
export function initialisedGuest(
  variety: "page" | "pci" = "page",
  options: Partial<GuestOptions> = {},
): TestGuest {
  const guest = new TestGuest(options);
  fillData(guest, variety);
  guest.fake.script.push(call(LHCALL_LGUEST_INIT, [DATA]));
  guest.run(1);
  // The call itself is performed at the top of the next round, so let one pass without an entry.
  guest.run(0);
  guest.setData(LG_DATA_IRQ_ENABLED, 0x200);
  return guest;
}
