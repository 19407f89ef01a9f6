/** Non-maskable interrupts from the embedder's side: on this thread and in a worker, recorded, periodic, and without a taker. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, type GuestEnd, type GuestOptions, StateError } from "../../host-ts/index.ts";
import { buildMicrokernel, findGcc } from "../../tools/guest-build.ts";
import { type Booted, boot, spinner } from "../drivers/embedded.ts";

const gcc = findGcc();

/** Asks for an NMI and halts, twice. */
function haltingKernel(): Uint8Array {
  return readFileSync(buildMicrokernel("nmi-halted", { bus: "page", paging: "2-level" }));
}

/** Sends the guest an NMI each time it asks for one and sleeps. */
async function serve({ guest, text }: Booted): Promise<GuestEnd> {
  const ended = guest.run();
  for (let served = 1; served <= 2; served++) {
    await expect.poll(() => text().split("NMI, please").length - 1).toBe(served);
    // Its output is told before it halts; an NMI that came then would be taken too early.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await guest.nmi();
  }
  return await ended;
}

describe.skipIf("missing" in gcc)("a guest with a handler (needs gcc -m32)", () => {
  test.each(["inline", "worker"] as const)("is woken from its halt by nmi(), %s", async (mode) => {
    const booted = await boot({ mode, kernel: haltingKernel(), memoryBytes: 16 << 20 });
    const end = await serve(booted);
    expect(booted.text()).toContain("Test result: SUCCESS");
    expect(end.stats.traps[2]).toBe(2);
  });

  test("gets the same NMIs from a recording, at the same instructions", async () => {
    const options: Partial<GuestOptions> = {
      kernel: haltingKernel(),
      memoryBytes: 16 << 20,
      debug: { record: true, digestAtEnd: true },
    };
    const first = await serve(await boot(options));
    expect(first.recording?.map(({ input }) => input.kind)).toEqual(["nmi", "nmi"]);

    const { guest } = await boot({ ...options, replay: first.recording });
    const second = await guest.run();

    expect(second.digest).toBe(first.digest);
    expect(second.stats.instructions).toBe(first.stats.instructions);
    expect(second.stats.traps).toEqual(first.stats.traps);
  });

  test.each(["nmi-frame", "nmi-every", "nmi-blocked", "nmi-no-gate"])(
    "%s sees periodic ones at the same instructions, in slices of any length and with translations dropped",
    async (name) => {
      const kernel = readFileSync(buildMicrokernel(name, { bus: "page", paging: "2-level" }));
      const digests = new Set<string | undefined>();
      for (const sliceInstructions of [100_000, 100, 1777]) {
        const chaosSeed = sliceInstructions === 1777 ? 4711 : 0;
        const { guest } = await boot({
          ...{ kernel, sliceInstructions, memoryBytes: 16 << 20, nmiEvery: 1000 },
          debug: { digestAtEnd: true, chaosSeed },
        });
        digests.add((await guest.run()).digest);
      }
      expect(digests.size).toBe(1);
    },
  );
});

test("a guest without a handler runs on, and its NMIs are counted as lost", async () => {
  const { guest } = await boot({ kernel: spinner, mode: "inline" });
  void guest.run();
  await expect.poll(async () => (await guest.stats()).instructions).toBeGreaterThan(0);

  await guest.nmi();

  const lost = async () => (await guest.stats()).core["NMIs without a handler"];
  await expect.poll(lost).toBe(1);
  expect((await guest.shutdown()).kind).toBe("shutdown");
});

test.each(["inline", "worker"] as const)("nmi() of a dead guest is refused, %s", async (mode) => {
  const { guest } = await boot({ kernel: spinner, mode });
  await guest.shutdown();
  await expect(guest.nmi()).rejects.toThrow(StateError);
});

test.each(["inline", "worker"] as const)(
  "nmi() for a vCPU too many is refused, %s",
  async (mode) => {
    const { guest } = await boot({ kernel: spinner, mode });
    await expect(guest.nmi(1)).rejects.toThrow(ConfigError);
  },
);

test("a period too short to get anywhere is refused", async () => {
  await expect(boot({ nmiEvery: 999 })).rejects.toThrow(ConfigError);
});
