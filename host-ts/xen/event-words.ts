/**
 * How a guest learns of its event channels: two forms of the same four questions, one table of bits with a selector, and queues. What a port is
 * bound to is event-channels.ts.
 */

/** What event channels touch in guest memory. */
export interface EventMemory {
  readU8(gpa: number): number;
  readU32(gpa: number): number;
  writeU8(gpa: number, value: number): void;
  writeU32(gpa: number, value: number): void;
}

/** What event channels need to know of their domain. */
export interface EventDomain {
  readonly memory: EventMemory;
  readonly domid: number;
  /** Machine address of struct shared_info. */
  readonly sharedInfoGpa: number;
  readonly vcpus: number;
  /** Machine address of a vCPU's struct vcpu_info. */
  vcpuInfoGpa(vcpu: number): number;
  /** Keeps a machine frame of the domain's RAM writable memory until releaseFrame. @returns false when it is not RAM, or in use as something else. */
  holdFrame(mfn: number): boolean;
  releaseFrame(mfn: number): void;
}

/** One of the two forms. Ports are those that exist. */
export interface EventWords {
  /** Ports are below this. */
  readonly ports: number;
  /** Makes a port pending, and tells the vCPU unless it is masked or was told. */
  setPending(port: number, vcpu: number): void;
  clearPending(port: number): void;
  /** Opens a port's mask, and tells the vCPU of what came meanwhile. */
  unmask(port: number, vcpu: number): void;
  isPending(port: number): boolean;
  /** Whether the guest still has a closed port in a queue: nobody may have it yet. */
  isBusy(port: number): boolean;
  /** A port is bound anew. */
  open(port: number): void;
}
