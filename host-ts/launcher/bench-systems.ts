/** What a program of guests/bench runs on: an interface, and which way its traps go. The names are those of the rows of a result. */
import type { FaultPath } from "../base/fault-path.ts";

/** Interfaces that the programs are built for and that are compared. */
export const BENCH_ABIS = ["lguest", "xen-pv"] as const;
export type BenchAbi = (typeof BENCH_ABIS)[number];

/** One of them. */
export interface BenchSystem {
  /** As the rows of a result call it, in their field `path`. */
  readonly name: string;
  readonly abi: BenchAbi;
  /** In a few words, for a legend. */
  readonly what: string;
  readonly path: FaultPath;
}

/** Where round trips are measured: lguest, then Xen PV, each on both fault paths. */
export const FAULT_SYSTEMS: readonly BenchSystem[] = [
  { name: "switcher", abi: "lguest", path: "switcher", what: "lguest, judged in Wasm" },
  { name: "host", abi: "lguest", path: "host", what: "lguest, judged by the Host" },
  { name: "xen-pv", abi: "xen-pv", path: "switcher", what: "Xen PV, judged in Wasm" },
  { name: "xen-pv host", abi: "xen-pv", path: "host", what: "Xen PV, judged by the Host" },
];

/** Where single calls are measured. */
export const CALL_SYSTEMS: readonly BenchSystem[] = [
  { name: "lguest", abi: "lguest", path: "switcher", what: "lguest" },
  { name: "xen-pv", abi: "xen-pv", path: "switcher", what: "Xen PV, judged in Wasm" },
];
