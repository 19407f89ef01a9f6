/** The embedded guest: its image is what its sources make, and every command of its shell does what it says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createGuest, type Guest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { ROOT } from "../../tools/files.ts";
import { checkDemo } from "../../tools/guest-build.ts";

const kernel = readFileSync(join(ROOT, "guests/demo/demo.elf"));

interface Session {
  readonly guest: Guest;
  /** Everything printed so far, with plain line ends. */
  text(): string;
}

async function boot(options: Partial<GuestOptions>): Promise<Session> {
  const guest = await createGuest({ kernel, mode: "inline", memoryBytes: 16 << 20, ...options });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let printed = "";
  guest.on("output", (bytes) => {
    printed += Buffer.from(bytes).toString("latin1");
  });
  return { guest, text: () => printed.replaceAll("\r\n", "\n") };
}

/** Boots with `commands` on the kernel's command line and runs to the end. */
async function batch(
  commands: string,
  options: Partial<GuestOptions> = {},
): Promise<{ end: GuestEnd; text: string }> {
  const { guest, text } = await boot({ commandLine: `run=${commands}`, ...options });
  const end = await guest.run();
  return { end, text: text() };
}

/** Boots to the prompt, types `keys`, and runs to the end. */
async function type(keys: string): Promise<{ end: GuestEnd; text: string }> {
  const { guest, text } = await boot({});
  const writer = guest.console.writable.getWriter();
  void writer.write(new TextEncoder().encode(keys));
  const end = await guest.run();
  return { end, text: text() };
}

describe("the embedded guest's image", () => {
  it("is what its sources make", (context) => {
    const outcome = checkDemo();
    if (typeof outcome === "object") context.skip(outcome.skipped);
    expect(outcome).toBe("same");
  });
});

describe("the embedded guest", () => {
  it("boots at ring 1, shows the tour without a terminal, and powers off", async () => {
    const { end, text } = await batch("tour;poweroff");
    expect(end.kind).toBe("power-off");
    expect(text).toContain("CS 61, so ring 1");
    expect(text).toContain("1,024 demand faults");
    expect(text).toContain("the parent still sees its own 256 of 256 pages");
    expect(text).toContain("4,000 address-space switches");
    expect(text).toContain("78,498 primes up to 1,000,000");
    expect(text.match(/refused: /g)).toHaveLength(7);
    expect(text).not.toContain("WORKED");
  });

  it("shares the processor fairly between processes that never yield", async () => {
    const { text } = await batch("preempt 100;poweroff");
    const share = Number(/rounds \((\d+\.\d)% \//.exec(text)?.[1]);
    expect(share).toBeGreaterThan(45);
    expect(share).toBeLessThan(55);
  });

  it("gives every frame back when processes end", async () => {
    const { text } = await batch("mem;faults 500;cow 200;switch 10;rings;mem;poweroff");
    const free = [...text.matchAll(/free +([\d,]+) KiB/g)].map((match) => match[1]);
    expect(free).toHaveLength(2);
    expect(free[1]).toBe(free[0]);
  });

  it("sleeps until the clock event it asked for", async () => {
    const { text } = await batch("sleep 50;poweroff");
    const slept = Number(/slept ([\d,]+) us/.exec(text)?.[1]?.replace(",", ""));
    expect(slept).toBeGreaterThanOrEqual(50_000);
    expect(slept).toBeLessThan(61_000);
  });

  it("reaches thread-local memory through %gs and knows the date", async () => {
    const { text } = await batch("tls;date;poweroff", {
      startTimeMs: Date.UTC(2026, 1, 28, 23, 59),
    });
    expect(text).toContain("read 12345678 through %gs");
    expect(text).toContain("2026-02-28 23:59:00 UTC");
  });

  it("restarts, panics and powers off as told", async () => {
    expect((await batch("reboot")).end.kind).toBe("restart");
    expect((await batch("halt")).end.kind).toBe("power-off");
    const panic = await batch("panic");
    expect(panic.end.kind).toBe("panic");
    expect(panic.end.reason).toContain("asked for it");
  });

  it("reads its console: line editing, history, unknown commands", async () => {
    const { end, text } = await type("ecko\x7f\x7fho one two\r\x1b[A three\rnonsense\rpoweroff\r");
    expect(end.kind).toBe("power-off");
    expect(text).toContain("\none two\n");
    expect(text).toContain("\none two three\n");
    expect(text).toContain("nonsense: no such command");
  });

  it("edits in the middle of a line and drops one at ^C", async () => {
    const { text } = await type("echo ac\x1b[Db\r\x01wrong\x03echo kept\x15echo new\r\x04");
    expect(text).toContain("\nabc\n");
    expect(text).toContain("\nnew\n");
    expect(text).not.toContain("\nkept\n");
  });

  it("finds its console on a machine of any size", async () => {
    for (const mebibytes of [4, 5, 64, 256]) {
      const { end, text } = await batch("mem;poweroff", { memoryBytes: mebibytes << 20 });
      expect(end.kind).toBe("power-off");
      expect(text).toContain("console: virtio");
    }
  });

  it("comes to the same state every time, on both fault paths, also when cached translations are dropped at random", async () => {
    const commandLine = "run=faults 50;cow 20;syscalls 100;switch 20";
    const settle = async (options: Partial<GuestOptions>) => {
      const { guest, text } = await boot({ commandLine, ...options });
      void guest.run();
      await expect.poll(text, { timeout: 10_000 }).toMatch(/switches.*\n\$ $/);
      // Soon after the prompt it halts for good, because nothing is typed.
      let before = -1;
      for (;;) {
        const { instructions } = await guest.stats();
        if (instructions === before) break;
        before = instructions;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await guest.pause();
      return { digest: await guest.digest(), instructions: (await guest.stats()).instructions };
    };
    const plain = await settle({});
    expect(await settle({})).toEqual(plain);
    expect(await settle({ debug: { chaosSeed: 7 } })).toEqual(plain);
    expect(await settle({ sliceInstructions: 1237 })).toEqual(plain);
    const host = { lguest: { faultPath: "host" as const } };
    expect(await settle(host)).toEqual(plain);
    expect(await settle({ ...host, debug: { chaosSeed: 8 } })).toEqual(plain);
  });
});
