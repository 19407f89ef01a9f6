/** The two fault paths of a guest, and how a table says which way each sends something. */

/** "switcher": judged inside Wasm. "host": the classic path, out to TypeScript and back for each. */
export const FAULT_PATHS = ["switcher", "host"] as const;
export type FaultPath = (typeof FAULT_PATHS)[number];

/** Where something is judged; "gate" is Wasm when the guest's gate is a trap gate, else the Host. */
export type Side = "Wasm" | "Host" | "gate";

/** Which way each path sends something, and why. */
export interface Policy extends Readonly<Record<FaultPath, Side>> {
  readonly name: string;
  readonly why: string;
}

/** The way of the vectors from `first` to `last`. A later row stands above an earlier one. */
export interface TrapPolicy extends Policy {
  readonly first: number;
  readonly last: number;
}
