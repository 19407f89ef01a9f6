/** What a child process is asked, and what it answers: JSON both ways. */

/** One system with one plan. */
export interface PeerJob {
  readonly system:
    | "wasmvisor"
    | "wasmvisor host"
    | "wasmvisor xen-pv"
    | "wasmvisor bare"
    | "v86"
    | "qemu";
  /** Path of the guest's image. */
  readonly kernel: string;
  /** As the guest's command line takes it, without `plan=`. */
  readonly plan: string;
  /** Loops in the plan. */
  readonly loops: number;
}

/** One loop. */
export interface PeerSample {
  /** CPU time of the thread that runs guest code, milliseconds. */
  readonly cpuMs: number;
  /** Faults and traps that the guest's handlers saw. */
  readonly events: number;
}
