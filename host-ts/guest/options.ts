/** What an embedder may ask for: every option with its unit, default and limits. */

import {
  CPU_MODEL_CORE2,
  CPU_MODEL_I686,
  CPU_MODEL_MAX,
  CPU_MODEL_PENTIUM3,
  CPU_MODEL_PENTIUM4,
} from "../../abi/vcpu.ts";
import type { FaultPath } from "../base/fault-path.ts";
import type { StampedInput } from "../base/inputs.ts";
import type { BlockBackend, NetBackend } from "../base/ports.ts";

/** A disk: a raw image file (Node only), bytes in memory, or a backend of the embedder's own (inline mode only). */
export interface BlockOptions {
  readonly file?: string | undefined;
  readonly bytes?: Uint8Array | undefined;
  readonly backend?: BlockBackend | undefined;
  /** "rw" writes through, "ro" refuses writes, "overlay" keeps writes in memory and drops them at the end. Default "rw". */
  readonly access?: "rw" | "ro" | "overlay" | undefined;
  /**
   * What a Xen guest calls the disk or partition: "xvda", "xvda1", "hda", "sda2", "d0p1". Default: xvda, xvdb and so on, by its place. Refused for
   * other guests.
   */
  readonly vdev?: string | undefined;
}

/**
 * A network port: on a hub that joins guests of this process by name, to a small host of ours that answers ARP and ping, or a
 * backend of the embedder's own (inline mode only).
 */
export interface NetOptions {
  readonly hub?: string | undefined;
  /** IPv4 address of the small host, such as "10.0.0.1". It answers at once, so runs repeat. */
  readonly peer?: string | undefined;
  readonly backend?: NetBackend | undefined;
  /** Six bytes as "52:54:00:12:34:56". Default: locally administered, from the guest's name and the port's position. */
  readonly mac?: string | undefined;
}

/** Personalities by name. */
export const ABIS = ["lguest", "bare", "xen-pv"] as const;
export type Abi = (typeof ABIS)[number];

/** Processors by name, each with what the one before it has; the values are CPU_MODEL_*, which see. */
export const CPUS = {
  i686: CPU_MODEL_I686,
  pentium3: CPU_MODEL_PENTIUM3,
  pentium4: CPU_MODEL_PENTIUM4,
  core2: CPU_MODEL_CORE2,
  max: CPU_MODEL_MAX,
} as const;
export type Cpu = keyof typeof CPUS;
export const CPU_NAMES = Object.keys(CPUS) as readonly Cpu[];

/** What only the lguest personality asks. */
export interface LguestOptions {
  /** Device variety: "page" (Linux up to 4.0), "pci" (4.1 to 4.13), or "auto", told apart at LGUEST_INIT. Default "auto". */
  readonly bus?: "auto" | "page" | "pci" | undefined;
  /** A system-call vector accepted besides 0x80, 0x20-0xff. Default none. */
  readonly syscallVector?: number | undefined;
  /**
   * Where TLB misses, traps and page-table calls are judged: "switcher", inside Wasm, or "host", the classic path, out to TypeScript
   * and back for each. The guest cannot tell. Default "switcher"; refused for `abi: "bare"`.
   */
  readonly faultPath?: FaultPath | undefined;
  /** Whether the guest's page tables are PAE: "on", "off", or "auto", told by the first table it loads. Default "auto". */
  readonly pae?: "auto" | "on" | "off" | undefined;
}

/** What only the bare personality asks. */
export interface BareOptions {
  /** Multiboot or PVH modules after the initial RAM disk, which is the first. At most 16. Default none. */
  readonly modules?: readonly Uint8Array[] | undefined;
  /** The strings that a Multiboot or PVH kernel finds with its modules, the initial RAM disk's first if there is one. Default empty ones. */
  readonly moduleNames?: readonly string[] | undefined;
  /** A triple fault is the guest's death with a crash report, or a restart as on hardware. Default "kill". */
  readonly onTripleFault?: "kill" | "restart" | undefined;
  /** Halted on all processors with interrupts off, the guest is over ("deadlocked"), or waits for `nmi()`. Default "end". */
  readonly onStuck?: "end" | "wait" | undefined;
}

/** What only the Xen personality asks. */
export interface XenOptions {
  /**
   * Seed of a physical-to-machine list in pseudo-random order, 1 to 2^32-1, for finding kernels that mistake one kind of frame number for
   * the other. Default 0: in order, and still no two numbers agree.
   */
  readonly scramble?: number | undefined;
  /**
   * Where exceptions and hypercalls that only touch page tables, descriptors and the vCPU are judged: "switcher", inside Wasm, or "host", the
   * classic path, out to TypeScript and back for each. The guest cannot tell. Default "switcher".
   */
  readonly faultPath?: FaultPath | undefined;
  /** Whether the guest may have its events in queues by priority, as Xen offers since 4.4. Default true. */
  readonly fifo?: boolean | undefined;
  /**
   * A name: domains of this process with the same one are on one machine, where they can grant each other pages, bind event channels to
   * each other's ports and share one xenstore. They take turns in virtual time, so that together they are repeatable. Default: alone.
   */
  readonly machine?: string | undefined;
  /** Number of the domain on its machine, 1 to 32751. Default: the lowest that is free. */
  readonly domid?: number | undefined;
  /**
   * What becomes of a guest that suspends itself though nobody asked it to: "cancel" tells it at once that nothing came of it; "stand" leaves
   * it in state "suspended", as on Xen, until it is resumed or ended: for who listens to its states. Default "cancel".
   */
  readonly onSuspend?: "cancel" | "stand" | undefined;
  /** Puts all of xenstore as it was last into `GuestEnd`. Default false. */
  readonly storeAtEnd?: boolean | undefined;
}

/** Switches for finding bugs; they never change what a guest computes. */
export interface DebugOptions {
  /** Drops all cached translations at pseudo-random moments, from this seed (1 to 2^32-1). Default off. */
  readonly chaosSeed?: number | undefined;
  /** Runs the core that keeps assertions and names. Default false. */
  readonly assertions?: boolean | undefined;
  /** Puts a digest of the last state into `GuestEnd`; costs a pass over guest memory. Default false. */
  readonly digestAtEnd?: boolean | undefined;
  /** Keeps every host input with its stamp, for `Guest.recording`; memory grows with each. Default false. */
  readonly record?: boolean | undefined;
}

/** Where the guest spends its instructions, looked at from outside: it runs as it would unwatched. */
export interface ProfileOptions {
  /** Instructions of one vCPU between two samples, 100 to 10^9. Default 99,991: a prime, so that no loop keeps step with it. */
  readonly everyInstructions?: number | undefined;
  /** Return addresses to follow from each sample by EBP, 0 to 128, for code with frame pointers. Default 0. */
  readonly stackDepth?: number | undefined;
}

/** Options of `createGuest`. */
export interface GuestOptions {
  /**
   * The kernel image. lguest: vmlinux (ELF) or bzImage. xen-pv: an ELF with Xen's notes. bare: Multiboot 1, an ELF with a PVH entry note, or a ROM image of up
   * to 128 KiB that is entered at the reset vector. Left out with `restore`, or given for the guest's restart.
   */
  readonly kernel?: Uint8Array | undefined;
  /**
   * The image of a suspended guest (`Guest.save`), packed with gzip or not: this guest is that one, gone on in another domain. Its name,
   * memory, processors and, in virtual time, its wall clock are those of the image; disks and network ports are those given here, which
   * should be as many and in the same order. Default none.
   */
  readonly restore?: Uint8Array | undefined;
  /** Initial RAM disk. Default none. */
  readonly initrd?: Uint8Array | undefined;
  /** Kernel command line, at most 2047 bytes. Default "". */
  readonly commandLine?: string | undefined;
  /** Guest RAM in bytes, a multiple of 4096 from 1 MiB to 1 GiB. Default 64 MiB. */
  readonly memoryBytes?: number | undefined;
  /** Personality: a paravirtual interface, or "bare" for a plain machine without disks and network. Default "lguest". */
  readonly abi?: Abi | undefined;
  /** The processor a guest sees: without MMX and SSE, with both, or with SSE2 too. Default "i686", with abi "xen-pv" "pentium4". */
  readonly cpu?: Cpu | undefined;
  /**
   * Virtual processors, 1 to 8: of abi "bare" and "xen-pv"; abi "lguest" has one. They take turns on one thread, and time passes for all of
   * them with the instructions of each. Default 1.
   */
  readonly vcpus?: number | undefined;
  /** A name for messages and for MAC addresses. Default "guest". */
  readonly name?: string | undefined;
  /** Disks, in the order in which the guest sees them. At most 8. */
  readonly block?: readonly BlockOptions[] | undefined;
  /** Network ports, in order. At most 4. */
  readonly net?: readonly NetOptions[] | undefined;
  /** Whether there is a random-number device. Default true. */
  readonly rng?: boolean | undefined;
  /** Size of the terminal in characters. Default: none told. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
  /**
   * "virtual": time follows retired instructions and jumps while the guest idles, but for a guest on a network, which idles in
   * real time. "real": it follows the clock; for guests that wait for people. Default "virtual".
   */
  readonly time?: "virtual" | "real" | undefined;
  /** Guest nanoseconds per retired instruction in virtual time, 1 to 1000. Default 1. */
  readonly nsPerInstruction?: number | undefined;
  /** Wall clock at boot, or where a restored guest goes on, in milliseconds since 1970. Default: 2026-01-01 in virtual time, now in real time. */
  readonly startTimeMs?: number | undefined;
  /** Seed of the random-number device in virtual time, 0 to 2^32-1. Default 0. */
  readonly seed?: number | undefined;
  /** Longest run slice in instructions, 100 to 10,000,000. Default 100,000. */
  readonly sliceInstructions?: number | undefined;
  /**
   * Sends each vCPU an NMI at every multiple of this many instructions that it retired, 1000 to 2^53-1. They follow from the
   * count, so they are part of no recording. Default none.
   */
  readonly nmiEvery?: number | undefined;
  /** What a restart asked by the guest does: "end" ends the run, "reboot" boots a fresh guest from the same options. Default "end". */
  readonly onRestart?: "end" | "reboot" | undefined;
  /** "worker" runs the guest off this thread, "inline" on it. Default "worker" where workers exist. */
  readonly mode?: "inline" | "worker" | undefined;
  /** A recording of host inputs (`Guest.recording`), fed back at its stamps. Default none. */
  readonly replay?: readonly StampedInput[] | undefined;
  /** Aborting it ends the guest; `run` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Takes samples, for `Guest.profile` and `GuestEnd.profile`. Default: none. */
  readonly profile?: ProfileOptions | undefined;
  readonly lguest?: LguestOptions | undefined;
  readonly bare?: BareOptions | undefined;
  readonly xen?: XenOptions | undefined;
  readonly debug?: DebugOptions | undefined;
}
