/** Profiles: a guest that is sampled does what it does unwatched, to the last bit of its state. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildBareKernel, buildMicrokernel, findGcc } from "../../tools/guest-build.ts";
import { boot, spinner } from "../drivers/embedded.ts";

const gcc = findGcc();
const BUSY: Partial<GuestOptions> = {
  commandLine: "run=faults 300;preempt 20;ps;poweroff",
  memoryBytes: 16 << 20,
};

async function run(options: Partial<GuestOptions>): Promise<{ end: GuestEnd; text: string }> {
  const { guest, text } = await boot({ ...options, debug: { digestAtEnd: true } });
  return { end: await guest.run(), text: text() };
}

/** Everything that a guest or its user can see of a run. */
function seen({ end, text }: { end: GuestEnd; text: string }): unknown {
  const { kind, reason, digest, stats } = end;
  return { kind, reason, digest, text, instructions: stats.instructions, traps: stats.traps };
}

describe.each(["switcher", "host"] as const)("fault path %s", (faultPath) => {
  test("sampling changes neither state nor output, however often and deep it looks", async () => {
    const unwatched = await run({ ...BUSY, lguest: { faultPath } });
    for (const profile of [{}, { everyInstructions: 997, stackDepth: 16 }]) {
      const watched = await run({ ...BUSY, lguest: { faultPath }, profile });
      expect(seen(watched)).toEqual(seen(unwatched));
      expect(unwatched.end.profile).toBeUndefined();
      const { samples, order, everyInstructions } = watched.end.profile!;
      const total = samples.reduce((sum, { count }) => sum + count, 0);
      expect(total).toBe(Math.floor(watched.end.stats.instructions / everyInstructions));
      expect(order.length).toBe(total);
    }
  });
});

describe.skipIf("missing" in gcc)("kernels of ours (needs gcc -m32)", () => {
  test.each(["noirq-iret", "irq-pending", "clockevent", "ring3-preempted"])(
    "%s runs the same with a sample every 101 instructions",
    async (name) => {
      const kernel = readFileSync(buildMicrokernel(name, { bus: "page", paging: "2-level" }));
      const options = { kernel, memoryBytes: 16 << 20, mode: "inline" } as const;
      const watched = await run({ ...options, profile: { everyInstructions: 101, stackDepth: 4 } });
      expect(seen(watched)).toEqual(seen(await run(options)));
    },
  );

  test("a plain machine runs the same", async () => {
    const kernel = readFileSync(buildBareKernel("multiboot"));
    const options = { kernel, abi: "bare", commandLine: "3", vcpus: 2 } as const;
    const watched = await run({ ...options, profile: { everyInstructions: 101, stackDepth: 8 } });
    expect(seen(watched)).toEqual(seen(await run(options)));
    expect(new Set(watched.end.profile?.samples.map(({ cpl }) => cpl))).toEqual(new Set([0]));
  });

  test("periodic NMIs and samples keep out of each other's way", async () => {
    const kernel = readFileSync(buildMicrokernel("nmi-frame", { bus: "page", paging: "2-level" }));
    const options = { kernel, memoryBytes: 16 << 20, nmiEvery: 1000 };
    const watched = await run({ ...options, profile: { everyInstructions: 500 } });
    expect(seen(watched)).toEqual(seen(await run(options)));
  });
});

test.each(["inline", "worker"] as const)("samples tell where it spins, %s", async (mode) => {
  const { guest } = await boot({ kernel: spinner, mode, profile: { everyInstructions: 1000 } });
  void guest.run();
  await expect.poll(async () => (await guest.profile()).samples.length).toBe(1);
  const { samples } = await guest.profile();
  expect(samples).toMatchObject([{ frames: [0x100000], cpl: 1, directory: 0 }]);
  const end = await guest.shutdown();
  expect(await guest.profile()).toEqual(end.profile);
});

test("without the option there is no profile, and bad settings are refused", async () => {
  const { guest } = await boot({ kernel: spinner });
  await expect(guest.profile()).rejects.toThrow(ConfigError);
  await expect(boot({ profile: { everyInstructions: 99 } })).rejects.toThrow(ConfigError);
  await expect(boot({ profile: { stackDepth: 129 } })).rejects.toThrow(ConfigError);
});
