/** `net: [{ peer }]`: somebody to ping who answers at once, so that a guest on a network still repeats. */

import { expect, test } from "vitest";
import { LHCALL_HALT, LHCALL_SET_CLOCKEVENT } from "../../../abi/lguest.ts";
import { HostInputs } from "../../../host-ts/base/inputs.ts";
import { resolveConfig } from "../../../host-ts/guest/config.ts";
import type { GuestOptions } from "../../../host-ts/guest/options.ts";
import { openHostSide, type Platform } from "../../../host-ts/guest/platform.ts";
import { burn, call } from "../../drivers/fake-core.ts";
import { initialisedGuest } from "../../drivers/lguest-guest.ts";
import { buildElf } from "../boot/images.ts";

const ARP_REQUEST = [
  ...[255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 1, 2, 3, 8, 6],
  ...[0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 1, 2, 3, 10, 0, 0, 2],
  ...[0, 0, 0, 0, 0, 0, 10, 0, 0, 1],
];

function ask(options: Partial<GuestOptions>): { answers: number[][]; hasSources: boolean } {
  const config = resolveConfig({ kernel: buildElf(), net: [{ peer: "10.0.0.1" }], ...options });
  const inputs = new HostInputs();
  const side = openHostSide(config, {} as Platform, inputs, () => {});
  const answers: number[][] = [];
  side.net[0]!.connect((frame) => answers.push([...frame]));
  side.net[0]!.send(Uint8Array.from(ARP_REQUEST));
  side.close();
  return { answers, hasSources: inputs.hasSources };
}

test("the peer answers before the kick returns, and is nobody who could wake a guest by itself", () => {
  const { answers, hasSources } = ask({});
  expect(answers.map((frame) => frame.slice(28, 32))).toEqual([[10, 0, 0, 1]]);
  expect(hasSources).toBe(false);
});

test("in a replay the recording speaks for the peer", () => {
  const input = { kind: "console", device: "console", data: [] } as const;
  const stamp = { life: 0, atInstruction: 0, visit: 0, atNs: 0, input: { ...input, data: [] } };
  expect(ask({ replay: [stamp] }).answers).toEqual([]);
});

test.each([
  [{ peer: "10.0.0.1" }, "jumps"],
  [{ hub: "idle" }, "waits"],
] as const)("virtual time of an idle guest with %j %s", (port, what) => {
  const guest = initialisedGuest("page", { net: [port] });
  guest.fake.script.push(call(LHCALL_SET_CLOCKEVENT, [5000]), call(LHCALL_HALT), burn);
  guest.setGate(0x20);
  const outcome = guest.run(3);
  expect(outcome.kind).toBe(what === "jumps" ? "turn over" : "asleep");
});
