/**
 * The microkernels of guests/xen/tests as a table: what each must come to. The rule itself is the comment at the head of
 * guests/xen/tests/<name>/main.c.
 */
import type { GuestEndKind } from "../../host-ts/index.ts";

/** How a run must end. */
export type Expected =
  /** The guest reports SUCCESS and powers off. */
  | { readonly is: "success" }
  /** It ends so before it can report, for this reason. */
  | { readonly is: "ends"; readonly kind: GuestEndKind; readonly reason: RegExp };

/** One row. */
export interface Microkernel {
  readonly name: string;
  readonly expected: Expected;
  /** What the guest waits for at its console. */
  readonly input: string;
}

const works = (name: string, input = ""): Microkernel => ({
  name,
  expected: { is: "success" },
  input,
});
const ends = (name: string, kind: GuestEndKind, reason: RegExp): Microkernel => ({
  name,
  expected: { is: "ends", kind, reason },
  input: "",
});
const dies = (name: string, reason: RegExp) => ends(name, "killed", reason);

export const MICROKERNELS: readonly Microkernel[] = [
  // Start of day
  works("start-state"),
];
