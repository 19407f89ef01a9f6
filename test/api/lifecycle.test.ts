/** How a guest's life goes under awkward embedders: the same claims for a guest on this thread and for one in a worker. */

import { describe, expect, onTestFinished, test } from "vitest";
import { type GuestOptions, StateError } from "../../host-ts/index.ts";
import { boot, kernel, spinner } from "../drivers/embedded.ts";

/** Collects what is thrown past everybody, which would end a process. */
function catchUncaught(): unknown[] {
  const caught: unknown[] = [];
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => caught.push(error));
  onTestFinished(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  });
  return caught;
}

describe.each(["inline", "worker"] as const)("mode %s", (mode) => {
  const start = (options: Partial<GuestOptions> = {}) =>
    boot({ mode, kernel: spinner, ...options });

  test.each(["pause", "resume", "run"] as const)(
    "%s does not take a shutdown back",
    async (wish) => {
      const { guest } = await start();
      void guest.run();
      await expect.poll(async () => (await guest.stats()).instructions).toBeGreaterThan(0);
      const end = guest.shutdown();
      // With the state still "running", resume is refused; what counts is the end.
      void guest[wish]().catch(() => {});
      expect((await end).kind).toBe("shutdown");
      expect(guest.state).toBe("dead");
    },
  );

  test("pause does not take an abort back", async () => {
    const controller = new AbortController();
    const { guest } = await start({ signal: controller.signal });
    const ended = guest.run();
    controller.abort(new Error("time is up"));
    const paused = guest.pause();
    await expect(ended).rejects.toThrow("time is up");
    await paused;
    await expect.poll(() => guest.state).toBe("dead");
  });

  test("a run asked for by a listener of the pause is not lost", async () => {
    const { guest } = await start();
    let pauses = 0;
    guest.on("state", (state) => {
      if (state === "paused" && pauses++ === 0) void guest.run();
    });
    void guest.run();
    await guest.pause();
    await expect.poll(() => guest.state).toBe("running");
    const { instructions } = await guest.stats();
    await expect.poll(async () => (await guest.stats()).instructions).toBeGreaterThan(instructions);
  });

  test("run of a dead guest rejects and does not throw", async () => {
    const { guest } = await start();
    await guest.shutdown();
    const ran = guest.run();
    await expect(ran).rejects.toThrow(StateError);
  });

  test("counters and seconds are those of one life", async () => {
    const { guest } = await start({
      kernel,
      commandLine: "run=primes 500;reboot",
      onRestart: "reboot",
    });
    let reboots = 0;
    guest.on("reboot", (count) => {
      reboots = count;
    });
    const startedMs = performance.now();
    void guest.run();
    await expect.poll(() => reboots, { timeout: 15_000 }).toBeGreaterThanOrEqual(10);
    await guest.pause();
    const { hostSeconds, coreSeconds } = await guest.stats();
    const allSeconds = (performance.now() - startedMs) / 1000;
    expect(hostSeconds).toBeLessThan(allSeconds / 3);
    expect(coreSeconds).toBeLessThan(allSeconds / 3);
  });

  test("a listener that throws does not reach the guest, and is heard of", async () => {
    const caught = catchUncaught();
    const { guest } = await start({ kernel, commandLine: "run=primes 100;poweroff" });
    const heard: string[] = [];
    guest.on("state", (state) => {
      throw new Error(`listener of ${state}`);
    });
    guest.on("output", () => {
      throw new Error("listener of output");
    });
    guest.on("state", (state) => heard.push(state));
    expect((await guest.run()).kind).toBe("power-off");
    expect(heard).toEqual(["running", "dead"]);
    expect(guest.state).toBe("dead");
    await expect
      .poll(() => caught.map((error) => (error as Error).message))
      .toEqual(
        expect.arrayContaining(["listener of running", "listener of output", "listener of dead"]),
      );
  });
});

test("a guest on this thread executes nothing before run returns", async () => {
  const { guest } = await boot({ mode: "inline", kernel: spinner });
  void guest.run();
  const stats = guest.stats();
  await guest.pause();
  expect((await stats).instructions).toBe(0);
});
