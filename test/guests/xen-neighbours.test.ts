/** Two Xen domains on one machine: guests/xen/tests/neighbours in both its roles, through the public API. */
import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  ConfigError,
  createGuest,
  type Guest,
  type GuestEnd,
  type GuestOptions,
} from "../../host-ts/index.ts";
import { buildXenMicrokernel, findGcc } from "../../tools/guest-build.ts";

const MEMORY_BYTES = 8 << 20;
const PATIENCE_MS = 20_000;

interface Outcome {
  readonly end: GuestEnd;
  readonly output: string;
}

let machines = 0;

async function boot(
  machine: string,
  commandLine: string,
  { xen, debug, ...options }: Partial<GuestOptions> = {},
): Promise<Guest> {
  const guest = await createGuest({
    kernel: readFileSync(buildXenMicrokernel("neighbours")),
    abi: "xen-pv",
    commandLine,
    memoryBytes: MEMORY_BYTES,
    mode: "inline",
    debug: { digestAtEnd: true, ...debug },
    xen: { machine, ...xen },
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  return guest;
}

async function finish(guest: Guest): Promise<Outcome> {
  const decoder = new TextDecoder();
  let output = "";
  guest.on("output", (bytes) => {
    output += decoder.decode(bytes, { stream: true });
  });
  const timer = setTimeout(() => guest.kill("the test's patience is over"), PATIENCE_MS);
  const closed = guest.console.writable.close();
  const end = await guest.run();
  clearTimeout(timer);
  await closed.catch(() => {});
  return { end, output };
}

/** Both roles at once, made and started in this order. */
async function pair(options: Partial<GuestOptions> = {}): Promise<readonly [Outcome, Outcome]> {
  const machine = `test ${++machines}`;
  const front = await boot(machine, "front", options);
  const back = await boot(machine, "back", options);
  return await Promise.all([finish(front), finish(back)]);
}

function expectSuccess(outcomes: readonly Outcome[]): void {
  for (const { end, output } of outcomes) {
    expect({ output, kind: end.kind, reason: end.reason }).toMatchObject({ kind: "power-off" });
    expect(output).toMatch(/Test result: SUCCESS\s*$/);
  }
}

const whole = (outcomes: readonly Outcome[]) =>
  outcomes.map(({ end, output }) => [output, end.digest, end.stats.instructions]);

const gcc = findGcc();
const skipReason = "missing" in gcc ? gcc.missing : undefined;
const title = "two domains on one machine";
describe.skipIf(skipReason)(skipReason ? `${title} (${skipReason})` : title, () => {
  it("share pages, events and xenstore, and come to the same in other slices and with translations dropped", async () => {
    const plain = await pair();
    expectSuccess(plain);
    expect(whole(await pair())).toEqual(whole(plain));
    for (const sliceInstructions of [1000, 1009, 9973]) {
      expect(whole(await pair({ sliceInstructions }))).toEqual(whole(plain));
    }
    expect(whole(await pair({ debug: { chaosSeed: 77 } }))).toEqual(whole(plain));
  });

  it("work on other machine frames", async () => {
    const machine = `test ${++machines}`;
    const front = await boot(machine, "front", { xen: { scramble: 5 } });
    const back = await boot(machine, "back", { xen: { scramble: 6 } });
    expectSuccess(await Promise.all([finish(front), finish(back)]));
  });

  it("work in real time", async () => {
    expectSuccess(await pair({ time: "real" }));
  });

  it("live on one worker", async () => {
    expectSuccess(await pair({ mode: "worker" }));
  });

  it("wait for each other, whoever starts first", async () => {
    const machine = `test ${++machines}`;
    const front = await boot(machine, "front");
    const back = await boot(machine, "back");
    const ends = [finish(back)];
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(back.state).toBe("running");
    ends.push(finish(front));
    expectSuccess(await Promise.all(ends));
  });

  it("do not wait for one that is gone", async () => {
    const machine = `test ${++machines}`;
    const front = await boot(machine, "front");
    const back = await boot(machine, "back");
    const end = finish(back);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await front.shutdown();
    expect((await end).end.kind).toBe("deadlocked");
  });

  it("go on while one of them stands still", async () => {
    const machine = `test ${++machines}`;
    const front = await boot(machine, "front");
    const back = await boot(machine, "back");
    const ends = [finish(front), finish(back)];
    await back.pause();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await back.resume();
    expectSuccess(await Promise.all(ends));
  });

  it("are numbered from 1, or as they wish; a number is taken once", async () => {
    const machine = `test ${++machines}`;
    await boot(machine, "one", { xen: { domid: 7 } });
    await expect(boot(machine, "two", { xen: { domid: 7 } })).rejects.toThrow(ConfigError);
    await boot(machine, "three", { xen: { domid: 2 } });
    const lone = await boot(machine, "four");
    expect(await lone.xenstore.read("domid")).toBe("1");
  });

  it("are refused where they could not meet", async () => {
    const machine = `test ${++machines}`;
    await boot(machine, "one");
    await expect(boot(machine, "two", { mode: "worker" })).rejects.toThrow(/mode "inline"/);
    await expect(boot(machine, "two", { time: "real" })).rejects.toThrow(/virtual time/);
    await expect(boot(machine, "two", { abi: "lguest" })).rejects.toThrow(/xen.machine/);
  });
});
