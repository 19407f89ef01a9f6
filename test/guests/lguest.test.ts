/**
 * Every microkernel of guests/tests, on every variety of the ABI that its rule concerns, through the public API.
 * They are built on the fly; without gcc they are skipped.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { createGuest, type Guest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { sourceFiles } from "../../tools/files.ts";
import { buildMicrokernel, findGcc, type Variant } from "../../tools/guest-build.ts";
import { type Expected, HOSTILE, MICROKERNELS } from "./lguest-tests.ts";

const MEMORY_BYTES = 16 << 20;
/** No microkernel needs a second; one that hangs is ended with this reason. */
const PATIENCE_MS = 10_000;
/** How long a guest must stay halted to count as asleep. */
const ASLEEP_MS = 100;

interface Outcome {
  readonly end: GuestEnd;
  readonly output: string;
}

type Bus = Variant["bus"] | "auto";

async function boot(
  path: string,
  bus: Bus,
  options: Partial<GuestOptions> = {},
): Promise<{ guest: Guest; output(): string }> {
  const guest = await createGuest({
    kernel: readFileSync(path),
    memoryBytes: MEMORY_BYTES,
    mode: "inline",
    lguest: { bus },
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const decoder = new TextDecoder();
  let text = "";
  guest.on("output", (bytes) => {
    text += decoder.decode(bytes, { stream: true });
    // A guest that says so waits for one, halted.
    if (text.endsWith("an NMI, please\n")) setTimeout(() => void guest.nmi(), ASLEEP_MS);
  });
  return { guest, output: () => text };
}

async function runToEnd(
  path: string,
  bus: Bus,
  options: Partial<GuestOptions> = {},
): Promise<Outcome> {
  const { guest, output } = await boot(path, bus, options);
  const timer = setTimeout(() => guest.kill("the test's patience is over"), PATIENCE_MS);
  const end = await guest.run();
  clearTimeout(timer);
  return { end, output: output() };
}

const WITH_DIGEST = { debug: { digestAtEnd: true } };

/** Two runs that no guest can tell apart. */
function expectSame(one: Outcome, other: Outcome): void {
  expect(one.output).toBe(other.output);
  expect(one.end.kind).toBe(other.end.kind);
  expect(one.end.reason).toBe(other.end.reason);
  expect(one.end.stats.instructions).toBe(other.end.stats.instructions);
  expect(one.end.stats.traps).toEqual(other.end.stats.traps);
  expect(one.end.digest).toBe(other.end.digest);
}

function expectEnd({ end, output }: Outcome, expected: Expected): void {
  const verdict = /Test result: (\w+)\s*$/.exec(output)?.[1];
  if (expected.is === "success") {
    expect({ verdict, output, end: end.kind, reason: end.reason }).toMatchObject({
      verdict: "SUCCESS",
      end: "power-off",
    });
    return;
  }
  if (expected.is === "named") {
    expect(end.reason).not.toBe("");
    return;
  }
  expect(verdict, output).toBeUndefined();
  expect(end.kind, end.reason).toBe(expected.is);
  if ("reason" in expected) expect(end.reason).toMatch(expected.reason);
}

async function expectSleep(path: string, bus: Variant["bus"]): Promise<void> {
  const { guest, output } = await boot(path, bus);
  const ended = guest.run();
  await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
  expect(guest.state).toBe("running");
  const before = (await guest.stats()).instructions;
  await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
  expect((await guest.stats()).instructions).toBe(before);
  await guest.shutdown();
  expect((await ended).kind).toBe("shutdown");
  expect(output()).not.toContain("Test result");
}

const gcc = findGcc();
const skipReason = "missing" in gcc ? gcc.missing : undefined;

describe("lguest microkernels", () => {
  for (const { name, expected, buses, pagings, options } of MICROKERNELS) {
    for (const bus of buses) {
      for (const paging of pagings) {
        it(`${name} (${bus}, ${paging})`, async (context) => {
          if (skipReason !== undefined) context.skip(skipReason);
          const path = buildMicrokernel(name, { bus, paging });
          if (expected.is === "asleep") await expectSleep(path, bus);
          else expectEnd(await runToEnd(path, bus, options), expected);
        });
      }
    }
  }

  // The classic path judges every miss, trap and call in the Host: the guest cannot tell, not even by counting instructions.
  for (const { name, expected, buses, pagings, options } of MICROKERNELS) {
    if (expected.is === "asleep") continue;
    for (const bus of buses) {
      for (const paging of pagings) {
        it(`${name} comes to the same on the classic path (${bus}, ${paging})`, async (context) => {
          if (skipReason !== undefined) context.skip(skipReason);
          const path = buildMicrokernel(name, { bus, paging });
          const inSwitcher = await runToEnd(path, bus, { ...options, ...WITH_DIGEST });
          const host = { ...options, lguest: { bus, faultPath: "host" as const } };
          expectSame(await runToEnd(path, bus, { ...host, ...WITH_DIGEST }), inSwitcher);
          // The random crimes change tables without telling: what they come to depends on what is cached.
          if (bus !== buses[0] || name === HOSTILE) return;
          const debug = { digestAtEnd: true, chaosSeed: 4711 };
          expectSame(await runToEnd(path, bus, { ...host, debug }), inSwitcher);
        });
      }
    }
  }

  for (const { name, expected, buses, pagings } of MICROKERNELS) {
    // Rules about page tables, on the tables they concern: where a stale or missing translation would show.
    if (expected.is !== "success" || (pagings.length === 1 && pagings[0] === "2-level")) continue;
    it(`${name} runs the same with translations dropped at random and in short slices`, async (context) => {
      if (skipReason !== undefined) context.skip(skipReason);
      const bus = buses[0]!;
      const path = buildMicrokernel(name, { bus, paging: "pae" });
      const plain = await runToEnd(path, bus);
      const chaos = await runToEnd(path, bus, { debug: { chaosSeed: 1234567 } });
      const short = await runToEnd(path, bus, { sliceInstructions: 101 });
      for (const other of [chaos, short]) {
        expect(other.output).toBe(plain.output);
        expect(other.end.stats.instructions).toBe(plain.end.stats.instructions);
      }
    });
  }

  it.each(["page", "pci"] as const)("the %s variety is told apart at LGUEST_INIT", async (bus) => {
    if (skipReason !== undefined) return;
    const path = buildMicrokernel("init-words", { bus, paging: "2-level" });
    expectEnd(await runToEnd(path, "auto"), { is: "success" });
  });

  it("a guest that halts for ever is stuck once its console input has ended", async (context) => {
    if (skipReason !== undefined) context.skip(skipReason);
    const path = buildMicrokernel("halt-forever", { bus: "page", paging: "2-level" });
    const { guest } = await boot(path, "page");
    await guest.console.writable.close();
    const end = await guest.run();
    expect(end.kind).toBe("deadlocked");
  });

  it("every microkernel in the repository is in the table", () => {
    const built = sourceFiles(["guests/tests"], ["main.c"]).map((path) => path.split("/")[2]);
    expect(MICROKERNELS.map(({ name }) => name).sort()).toEqual(built.sort());
  });
});
