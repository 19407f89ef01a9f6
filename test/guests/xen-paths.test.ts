/** Both fault paths of a Xen guest come to the same, and its counters say where each call was performed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { CALLS } from "../../host-ts/launcher/bench-calls.ts";
import { SCENARIOS } from "../../host-ts/launcher/bench-scenarios.ts";
import { ROOT } from "../../tools/files.ts";

const HOST = { faultPath: "host" } as const;

/** Runs a program of guests/bench to its end, with a plan. */
async function run(
  program: "faults" | "calls",
  plan: string,
  options: Partial<GuestOptions> = {},
): Promise<GuestEnd> {
  const guest = await createGuest({
    kernel: readFileSync(join(ROOT, `guests/bench/${program}-xen.elf`)),
    abi: "xen-pv",
    memoryBytes: 16 << 20,
    mode: "inline",
    commandLine: `plan=${plan}`,
    ...options,
    debug: { digestAtEnd: true, ...options.debug },
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const end = await guest.run();
  expect(end.kind, end.reason).toBe("power-off");
  return end;
}

test.each([
  ["faults", SCENARIOS],
  ["calls", CALLS],
] as const)(
  "every scenario of %s ends in the same state after the same instructions on both paths, in any slices",
  async (program, scenarios) => {
    const plan = scenarios.map(({ name, period }) => `${name}:${2 * period}`).join(",");
    const once = await run(program, plan);
    const others: Partial<GuestOptions>[] = [
      { xen: HOST },
      { sliceInstructions: 1009 },
      { xen: HOST, sliceInstructions: 1009 },
      { debug: { chaosSeed: 5 } },
      { xen: HOST, debug: { chaosSeed: 6 } },
    ];
    for (const options of others) {
      const { digest, stats } = await run(program, plan, options);
      expect([digest, stats.instructions]).toEqual([once.digest, once.stats.instructions]);
    }
    const scrambled = await run(program, plan, { xen: { scramble: 77 } });
    const host = await run(program, plan, { xen: { ...HOST, scramble: 77 } });
    expect(host.digest).toBe(scrambled.digest);
    expect(scrambled.digest).not.toBe(once.digest);
  },
  60_000,
);

test("statistics name calls by where they were performed, also those of a multicall", async () => {
  const [none, own] = [await run("calls", ""), await run("calls", "set_pte32:10")];
  const more = (end: GuestEnd, where: "coreCalls" | "hostCalls", name: string) =>
    (end.stats[where][name] ?? 0) - (none.stats[where][name] ?? 0);
  expect(more(own, "coreCalls", "multicall")).toBe(10);
  expect(more(own, "coreCalls", "update_va_mapping")).toBe(320);
  expect(own.stats.hostCalls).toHaveProperty("event_channel_op");
  expect(own.stats.hostCalls).not.toHaveProperty("update_va_mapping");
  const host = await run("calls", "set_pte32:10", { xen: HOST });
  expect(host.stats.coreCalls).toEqual({ multicall: own.stats.coreCalls.multicall });
  const { multicall: _, ...calls } = own.stats.coreCalls;
  expect(host.stats.hostCalls).toEqual({ ...own.stats.hostCalls, ...calls });
  expect(host.stats.crossings).toBeGreaterThan(own.stats.crossings + 320);
});

test("a profile changes nothing on either path, and its samples are the guest's", async () => {
  const plan = "pingpong:200,fork:16,ring:20,trap:200";
  const once = await run("faults", plan);
  for (const xen of [{}, HOST]) {
    const profile = { everyInstructions: 997, stackDepth: 4 };
    const watched = await run("faults", plan, { xen, profile });
    expect([watched.digest, watched.stats.instructions]).toEqual([
      once.digest,
      once.stats.instructions,
    ]);
    const { samples } = watched.profile!;
    const sampled = samples.reduce((sum, { count }) => sum + count, 0);
    expect(sampled).toBe(Math.floor(once.stats.instructions / 997));
    expect(new Set(samples.map(({ cpl }) => cpl))).toEqual(new Set([1, 3]));
  }
});
