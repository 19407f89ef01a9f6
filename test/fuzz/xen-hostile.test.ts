/**
 * Two Xen domains that mean harm, on the whole Host: 100,000 hypercalls of all kinds from a model, with instructions between them. Nothing is
 * thrown, nothing hangs, every count is what an audit of its own finds, and nothing is left of a domain that is dead. `npm run soak:xen` goes
 * on with the same model for as long as one likes.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { noTotals, property } from "../drivers/xen-hostile/session.ts";

const CALLS = 100_000;
/** Sessions of a round; a session is some 400 calls. */
const SESSIONS = 25;

test("no call of a hostile domain throws, hangs, or is counted wrong, and a dead domain leaves nothing", () => {
  const totals = noTotals();
  const first = Number(process.env.WASMVISOR_XEN_SEED ?? Date.now() % 2 ** 30);
  for (let seed = first; totals.calls < CALLS; seed++) {
    // Prints the seed, the path and the steps that are left when it fails.
    fc.assert(property(totals), { seed, numRuns: SESSIONS, interruptAfterTimeLimit: 240_000 });
  }
  console.log(`${totals.calls} calls from seed ${first}, ${totals.deaths} domains dead`);
  expect(totals.deaths).toBeGreaterThan(0);
}, 600_000);
