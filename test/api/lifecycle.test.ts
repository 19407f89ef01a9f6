/** How a guest's life goes under awkward embedders: the same claims for a guest on this thread and for one in a worker. */

import { execFile } from "node:child_process";
import { getEventListeners } from "node:events";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { type GuestOptions, StateError } from "../../host-ts/index.ts";
import { ROOT } from "../../tools/files.ts";
import { boot, kernel, spinner } from "../drivers/embedded.ts";
import { buildElf } from "../unit/boot/images.ts";

const INDEX = new URL("../../host-ts/index.ts", import.meta.url).href;

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

  test("calls that meet the guest's end answer as they do after it", async () => {
    for (const end of ["shutdown", "abort"] as const) {
      const controller = new AbortController();
      const { guest } = await start({ signal: controller.signal, debug: { record: true } });
      guest.run().catch(() => {});
      await expect.poll(() => guest.state).toBe("running");
      if (end === "abort") controller.abort(new Error("time is up"));
      else void guest.shutdown();
      const calls = () =>
        Promise.allSettled([
          guest.pause(),
          guest.resize(80, 25),
          guest.stats(),
          guest.recording(),
          guest.digest(),
          guest.inspect(),
          guest.readMemory(0, 4),
          guest.resume(),
        ]);
      const meeting = await calls();
      await expect.poll(() => guest.state).toBe("dead");
      const after = await calls();
      const outcomes = (calls: PromiseSettledResult<unknown>[]) =>
        calls.map((call) => (call.status === "fulfilled" ? "fine" : call.reason.code));
      const [fine, refused] = ["fine", "HV_STATE"];
      expect(outcomes(after)).toEqual([fine, fine, fine, fine, refused, refused, refused, refused]);
      expect(outcomes(meeting).slice(0, 4)).toEqual([fine, fine, fine, fine]);
      for (const outcome of outcomes(meeting)) expect([fine, refused]).toContain(outcome);
    }
  });

  test("an AbortSignal forgets a guest that ended", async () => {
    const controller = new AbortController();
    for (let round = 0; round < 3; round++) {
      const { guest } = await start({ signal: controller.signal });
      await guest.shutdown();
    }
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("a failure of ours ends the guest with a rejection, and keeps no process alive", async () => {
    const script = `
      import { createGuest } from "${INDEX}";
      const input = { kind: "console", device: "console", data: null };
      const guest = await createGuest({
        kernel: Uint8Array.from(${JSON.stringify([...spinner])}),
        mode: "${mode}",
        replay: [{ life: 0, atInstruction: 1000, visit: 0, atNs: 0, input }],
      });
      const states = [];
      guest.on("state", (state) => states.push(state));
      await guest.run().catch((error) => states.push(error.name));
      const killed = await guest.kill().catch((error) => error.name);
      console.log(states.join(), killed, guest.state);
    `;
    const args = ["--import", "tsx", "--input-type=module", "-e", script];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: ROOT,
      timeout: 15_000,
    });
    expect(stdout).toMatch(/^running,dead,(\w+Error) \1 dead$/m);
  });

  test("a writer waits while the guest does not read, and no longer than it lives", async () => {
    const { guest } = await start();
    void guest.run();
    const writer = guest.console.writable.getWriter();
    await writer.write(new Uint8Array(1000));
    let isAccepted = false;
    const write = writer.write(new Uint8Array(1 << 20)).then(() => {
      isAccepted = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAccepted).toBe(false);
    await guest.shutdown();
    await write;
  });

  test("a guest that reads lets its writer go on", async () => {
    const { guest } = await start({ kernel });
    void guest.run();
    const writer = guest.console.writable.getWriter();
    const line = `echo ${"x".repeat(70)}\r`;
    for (let i = 0; i < 20; i++) await writer.write(Buffer.alloc(10_000, line));
    expect(guest.state).toBe("running");
  });

  test("a blocked writer wakes nobody: a guest that halts for good is reported", async () => {
    const segments = [{ paddr: 0x100000, bytes: Uint8Array.of(0xb8, 5, 0, 0, 0, 0xcd, 0x1f) }];
    const { guest } = await start({ kernel: buildElf({ segments }) });
    const ended = guest.run();
    await guest.console.writable.getWriter().write(new Uint8Array(1 << 20));
    expect((await ended).kind).not.toBe("power-off");
  });

  test("output dropped because nobody reads the stream is counted", async () => {
    const { guest } = await start({ kernel, commandLine: "run=primes 100;poweroff" });
    expect((await guest.run()).stats.droppedOutputBytes).toBe(0);
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
