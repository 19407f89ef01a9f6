/** Two hostile domains of one machine, through a list of steps: audited on the way, and nothing is left of them in the end. */
import fc from "fast-check";
import { type Core, instantiateCore } from "../../../host-ts/base/core.ts";
import { loadCoreImage } from "../../../host-ts/base/core-node.ts";
import type { XenDomain } from "../../../host-ts/xen/domain.ts";
import { XenMachine } from "../../../host-ts/xen/xen-machine.ts";
import { framesInUse } from "../frame-pool.ts";
import { auditDomain, auditGrants } from "./audit.ts";
import { HostileGuest } from "./guest.ts";
import { step } from "./steps.ts";

const DOMAINS = 2;
const LONGEST = 400;

/** The property; it counts into `totals`. */
export function property(totals: Totals) {
  return fc.property(session, (each) => runSession(each, totals));
}

/** What came of the sessions so far. */
export interface Totals {
  sessions: number;
  calls: number;
  steps: number;
  /** Domains that died of what they did. */
  deaths: number;
  readonly reasons: Map<string, number>;
}

export function noTotals(): Totals {
  return { sessions: 0, calls: 0, steps: 0, deaths: 0, reasons: new Map() };
}

/** Lists of steps, and how often to look. */
export const session = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: LONGEST, size: "max" }),
  auditEvery: fc.constantFrom(8, 32, 128),
});
export type Session = typeof session extends fc.Arbitrary<infer T> ? T : never;

let core: Core | undefined;

/** Runs one session. Throws an Error that says what went wrong. */
export function runSession({ steps, auditEvery }: Session, totals: Totals): void {
  core ??= instantiateCore(loadCoreImage(true));
  const machine = new XenMachine(true);
  const before = framesInUse(core);
  const guests: (HostileGuest | undefined)[] = [];
  /** In the order in which they came. */
  let domains: XenDomain[] = [];
  const audit = () => {
    for (const domain of domains) auditDomain(domain);
    auditGrants(domains);
  };
  const bury = (index: number) => {
    const guest = guests[index]!;
    guests[index] = undefined;
    domains = domains.filter((each) => each !== guest.domain);
    totals.calls += guest.calls;
    guest.destroy();
  };
  try {
    for (const [index, each] of steps.entries()) {
      for (let i = 0; i < DOMAINS; i++) {
        if (guests[i] !== undefined) continue;
        guests[i] = new HostileGuest(core, machine, i + 1);
        domains.push(guests[i]!.domain);
      }
      const guest = guests[each.domain]!;
      guest.perform(each);
      totals.steps++;
      if (index % auditEvery === 0) audit();
      for (const [i, other] of guests.entries()) {
        if (other?.isDead !== true) continue;
        audit();
        note(totals, other);
        bury(i);
      }
    }
    audit();
  } finally {
    for (const [index, guest] of guests.entries()) if (guest !== undefined) bury(index);
  }
  totals.sessions++;
  settle(before);
}

/** What the core itself keeps from one guest to the next is taken once. */
let kept = 0;
function settle(before: number): void {
  const left = framesInUse(core!) - before;
  if (left > 0 && kept === 0) kept = left;
  else if (left !== 0) throw new Error(`${left} frames of the shared memory are left`);
}

function note(totals: Totals, { machine }: HostileGuest): void {
  totals.deaths++;
  const reason = machine.death?.reason ?? "suspended";
  const kind = reason.replace(/0x[0-9a-f]+|\d+/g, "N");
  totals.reasons.set(kind, (totals.reasons.get(kind) ?? 0) + 1);
}
