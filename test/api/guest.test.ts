/** The embedding API, the same claims for a guest on this thread and for one in a worker. */

import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  BackendError,
  ConfigError,
  createGuest,
  type GuestOptions,
  type GuestState,
  ImageError,
  StateError,
  UnsupportedError,
} from "../../host-ts/index.ts";
import { boot, kernel, spinner, type } from "../drivers/embedded.ts";
import { buildElf } from "../unit/boot/images.ts";

describe.each(["inline", "worker"] as const)("mode %s", (mode) => {
  const start = (options: Partial<GuestOptions> = {}) => boot({ mode, ...options });
  const create = (options: Partial<GuestOptions>) => createGuest({ kernel, mode, ...options });

  test("a guest runs to its end and says what it did", async () => {
    const { guest, text } = await start({ commandLine: "run=primes 1000;poweroff" });
    const states: GuestState[] = [guest.state];
    guest.on("state", (state) => states.push(state));
    const end = await guest.run();
    expect(end).toMatchObject({ kind: "power-off", crash: undefined });
    expect(text()).toContain("168 primes");
    expect(states).toEqual(["configured", "running", "dead"]);
    const { stats } = end;
    expect(stats.instructions).toBeGreaterThan(10_000);
    expect(stats.crossings).toBeGreaterThan(5);
    expect(stats.hostCalls).toMatchObject({ LGUEST_INIT: 1, SHUTDOWN: 1 });
    expect(stats.coreCalls.NEW_PGTABLE).toBeGreaterThan(0);
    expect(stats.traps["14"]).toBeGreaterThan(0);
    expect(await guest.stats()).toEqual(stats);
  });

  test("the console is a pair of streams, and input before boot is kept", async () => {
    const { guest } = await start();
    await type(guest, "echo from a stream\rpoweroff\r");
    await guest.run();
    const text = await new Response(guest.console.readable).text();
    expect(text).toContain("\nfrom a stream\r\n");
  });

  test("a paused guest stands still and goes on", async () => {
    const { guest } = await start({ kernel: spinner });
    const ended = guest.run();
    await expect.poll(async () => (await guest.stats()).instructions).toBeGreaterThan(1000);
    await guest.pause();
    expect(guest.state).toBe("paused");
    const before = await guest.digest();
    expect(await guest.digest()).toBe(before);
    expect((await guest.inspect()).registers.eip).toBe(0x100000);
    await guest.resume();
    await expect.poll(() => guest.digest()).not.toBe(before);
    await guest.shutdown();
    expect((await ended).kind).toBe("shutdown");
  });

  test("a guest paused before it ever ran stays so until run", async () => {
    const { guest } = await start({ commandLine: "run=poweroff" });
    await guest.pause();
    expect(guest.state).toBe("configured");
    expect((await guest.run()).kind).toBe("power-off");
  });

  test("kill takes effect in an endless loop, and the report says where it was", async () => {
    const { guest } = await start({ kernel: spinner });
    void guest.run();
    const end = await guest.kill("enough");
    expect(end).toMatchObject({ kind: "killed", reason: "enough" });
    expect(end.crash?.registers).toMatchObject({ eip: 0x100000, cs: 0x61, cpl: 1 });
    const { lin, bytes } = end.crash!.code;
    expect([...bytes.subarray(0x100000 - lin, 0x100002 - lin)]).toEqual([0xeb, 0xfe]);
  });

  test("an AbortSignal ends the guest, and run rejects with its reason", async () => {
    const controller = new AbortController();
    const { guest } = await start({ kernel: spinner, signal: controller.signal });
    const ended = guest.run();
    controller.abort(new Error("time is up"));
    await expect(ended).rejects.toThrow("time is up");
    await expect.poll(() => guest.state).toBe("dead");
    await expect(create({ signal: controller.signal })).rejects.toThrow("time is up");
  });

  test("a dead guest refuses to run again", async () => {
    const { guest } = await start({ commandLine: "run=poweroff" });
    await guest.run();
    await expect(guest.run()).rejects.toThrow(StateError);
    await expect(guest.resume()).rejects.toThrow(StateError);
    expect((await guest.shutdown()).kind).toBe("power-off");
    await guest.pause();
  });

  test("mistakes of the embedder are typed errors, wherever they are found", async () => {
    await expect(create({ memoryBytes: 1 })).rejects.toThrow(ConfigError);
    await expect(create({ kernel: Uint8Array.of(1, 2) })).rejects.toThrow(ImageError);
    await expect(create({ block: [{ file: "/nonexistent/disk" }] })).rejects.toThrow(BackendError);
    const { guest } = await start();
    await expect(guest.readMemory(8 << 20, 0x200000)).rejects.toThrow(ConfigError);
    await expect(guest.readMemory(0.5, 4)).rejects.toThrow(ConfigError);
    await expect(guest.readMemory(0, 1.5)).rejects.toThrow(ConfigError);
    expect((await guest.readMemory(0x206, 2))[0]).toBe(7);
    await expect(guest.resize(-1, 25)).rejects.toThrow(/columns is -1/);
    await expect(guest.resize(80, 1e9)).rejects.toThrow(/rows is 1000000000/);
    await guest.resize(80, 25);
  });

  test("a killed guest names the rule it broke", async () => {
    const bytes = Uint8Array.of(0xb8, 10, 0, 0, 0, 0xcd, 0x1f);
    const { guest } = await start({ kernel: buildElf({ segments: [{ paddr: 0x100000, bytes }] }) });
    const end = await guest.run();
    expect(end).toMatchObject({ kind: "killed", reason: "hypercall 10 before INIT" });
    expect(end.crash?.registers.eip).toBe(0x100007);
  });

  test("a panic carries the guest's words and a crash report", async () => {
    const { guest } = await start({ commandLine: "run=panic" });
    const end = await guest.run();
    expect(end.kind).toBe("panic");
    expect(end.reason).toContain("asked for it");
    expect(end.crash?.stack.bytes.length).toBeGreaterThan(0);
  });

  test("a restart ends the run, or boots a fresh guest when asked to", async () => {
    const once = await start({ commandLine: "run=reboot" });
    expect((await once.guest.run()).kind).toBe("restart");
    const again = await start({ commandLine: "run=reboot", onRestart: "reboot" });
    let reboots = 0;
    const third = new Promise<void>((resolve) => {
      again.guest.on("reboot", (count) => {
        reboots = count;
        if (count === 3) resolve();
      });
    });
    void again.guest.run();
    await third;
    await again.guest.shutdown();
    expect(reboots).toBeGreaterThanOrEqual(3);
  });

  test("many guests live side by side and do not disturb each other", async () => {
    const guests = await Promise.all(
      [100, 1000, 10000].map((top) => start({ commandLine: `run=primes ${top};poweroff` })),
    );
    await Promise.all(guests.map(({ guest }) => guest.run()));
    expect(guests.map(({ text }) => /([\d,]+) primes/.exec(text())?.[1])).toEqual([
      "25",
      "168",
      "1,229",
    ]);
  });

  test("a halted guest that nothing can wake any more is reported when its input ends", async () => {
    const { guest, text } = await start();
    const ended = guest.run();
    await expect.poll(text).toMatch(/\$ $/);
    await guest.console.writable.close();
    expect((await ended).kind).toBe("deadlocked");
  });

  test("a recorded session replays to the same state", async () => {
    const first = await start({ debug: { record: true } });
    void first.guest.run();
    for (const keys of ["echo one\r", "primes 100\r", "faults 20\r"]) {
      const length = first.text().length;
      await type(first.guest, keys);
      await expect.poll(first.text).toMatch(/\n\$ $/);
      await expect.poll(() => first.text().length).toBeGreaterThan(length + keys.length + 4);
    }
    await first.guest.pause();
    const replay = await first.guest.recording();
    expect(replay.length).toBeGreaterThanOrEqual(3);

    const second = await start({ replay });
    void second.guest.run();
    await expect.poll(second.text).toBe(first.text());
    await second.guest.pause();
    expect(await second.guest.digest()).toBe(await first.guest.digest());
    expect((await second.guest.stats()).instructions).toBe(
      (await first.guest.stats()).instructions,
    );
  });

  test("a recording is kept when asked for, and outlives the guest", async () => {
    const { guest } = await start({ debug: { record: true } });
    await type(guest, "echo one\rpoweroff\r");
    const end = await guest.run();
    expect(end.recording).toMatchObject([{ life: 0, input: { kind: "console" } }]);
    expect(await guest.recording()).toEqual(end.recording);

    const other = await start();
    await type(other.guest, "poweroff\r");
    await expect(other.guest.recording()).rejects.toThrow(ConfigError);
    expect((await other.guest.run()).recording).toBeUndefined();
    await expect(other.guest.recording()).rejects.toThrow(/debug.record/);
  });

  test("disposing of a guest at any time gives its memory back", async () => {
    for (let round = 0; round < 20; round++) {
      const guest = await create({ memoryBytes: 64 << 20 });
      if (round % 2 === 0) void guest.run();
      await guest[Symbol.asyncDispose]();
      expect(guest.state).toBe("dead");
    }
  });

  test("in real time the guest's clock is the host's", async () => {
    const { guest, text } = await start({ commandLine: "run=sleep 50;poweroff", time: "real" });
    const startedMs = performance.now();
    await guest.run();
    expect(performance.now() - startedMs).toBeGreaterThan(45);
    expect(text()).toMatch(/slept/);
  });

  test("a disk image file is opened where the guest lives and left whole", async () => {
    const folder = await mkdtemp(join(tmpdir(), "wasmvisor-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "disk.img");
    await writeFile(file, new Uint8Array(4096));
    const { guest } = await start({ block: [{ file, access: "ro" }], commandLine: "run=poweroff" });
    expect((await guest.run()).kind).toBe("power-off");
    expect(readFileSync(file)).toEqual(Buffer.alloc(4096));
  });
});

test("a guest in a worker does not stall this thread", async () => {
  const { guest } = await boot({ mode: "worker", kernel: spinner });
  void guest.run();
  let longestMs = 0;
  let lastMs = performance.now();
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }
  expect(longestMs).toBeLessThan(500);
  expect((await guest.stats()).instructions).toBeGreaterThan(1_000_000);
});

test("both modes compute the same state", async () => {
  const digests = [];
  for (const mode of ["inline", "worker"] as const) {
    const { guest, text } = await boot({ mode, commandLine: "run=primes 500;cow 20" });
    void guest.run();
    await expect.poll(text).toMatch(/cow[\s\S]*\$ $|pages[\s\S]*\$ $/);
    await guest.pause();
    digests.push(await guest.digest());
  }
  expect(digests[0]).toBe(digests[1]);
});

test("backends of the embedder's own need the same thread", async () => {
  const backend = { send: () => {}, connect: () => {}, close: () => {} };
  await expect(createGuest({ kernel, mode: "worker", net: [{ backend }] })).rejects.toThrow(
    UnsupportedError,
  );
});
