/**
 * What all personalities have in common, written once: the same kernel of ours (guests/suite), built for each interface, behind the public
 * API. A row says why a personality has no part in a rule.
 */
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuest, type Guest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildBareKernel, buildSuite, findGcc } from "../../tools/guest-build.ts";

interface Subject {
  readonly name: string;
  readonly build: () => string;
  readonly options: Partial<GuestOptions>;
  /** Before the command on the command line. */
  readonly mark: string;
  /** What the reasons of its ends say. */
  readonly reasons: { readonly panic?: RegExp; readonly crime?: RegExp };
}

const SUBJECTS: readonly Subject[] = [
  {
    name: "lguest",
    build: () => buildSuite("lguest"),
    options: { abi: "lguest", lguest: { bus: "page" } },
    mark: "",
    reasons: { panic: /the kernel panics$/, crime: /^Bad hypercall 99$/ },
  },
  {
    name: "lguest on the classic path",
    build: () => buildSuite("lguest"),
    options: { abi: "lguest", lguest: { bus: "page", faultPath: "host" } },
    mark: "",
    reasons: { panic: /the kernel panics$/, crime: /^Bad hypercall 99$/ },
  },
  {
    name: "xen-pv",
    build: () => buildSuite("xen"),
    options: { abi: "xen-pv" },
    mark: "",
    reasons: { panic: /crash$/, crime: /^no handler for trap 6 / },
  },
  {
    name: "xen-pv on the classic path",
    build: () => buildSuite("xen"),
    options: { abi: "xen-pv", xen: { faultPath: "host" } },
    mark: "",
    reasons: { panic: /crash$/, crime: /^no handler for trap 6 / },
  },
  {
    name: "bare",
    build: () => buildBareKernel("multiboot"),
    options: { abi: "bare" },
    mark: "!",
    reasons: {},
  },
];

const MEMORY_BYTES = 8 << 20;
const PATIENCE_MS = 20_000;
/** How long a guest must stand still to count as asleep, in milliseconds of the host. */
const ASLEEP_MS = 50;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Started {
  readonly guest: Guest;
  output(): string;
  type(text: string): Promise<void>;
  endOfInput(): Promise<void>;
}

async function start(
  { build, options, mark }: Subject,
  command: string,
  extra: Partial<GuestOptions> = {},
): Promise<Started> {
  const guest = await createGuest({
    kernel: new Uint8Array(readFileSync(build())),
    memoryBytes: MEMORY_BYTES,
    mode: "inline",
    commandLine: mark + command,
    ...options,
    ...extra,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const decoder = new TextDecoder();
  let text = "";
  guest.on("output", (bytes) => {
    text += decoder.decode(bytes, { stream: true });
  });
  const writer = guest.console.writable.getWriter();
  return {
    guest,
    output: () => text,
    type: (line) => writer.write(new TextEncoder().encode(line)),
    endOfInput: () => writer.close(),
  };
}

async function run(
  subject: Subject,
  command: string,
  extra: Partial<GuestOptions> = {},
  input = "",
): Promise<{ end: GuestEnd; output: string }> {
  const { guest, output, type, endOfInput } = await start(subject, command, extra);
  const timer = setTimeout(() => guest.kill("the test's patience is over"), PATIENCE_MS);
  if (input !== "") await type(input);
  await endOfInput();
  const end = await guest.run();
  clearTimeout(timer);
  return { end, output: output() };
}

/** Waits until the guest has printed something. */
async function printed({ output }: Started, text: string): Promise<void> {
  for (let waited = 0; !output().includes(text); waited += 5) {
    if (waited > PATIENCE_MS) throw new Error(`the guest never printed ${text}: ${output()}`);
    await pause(5);
  }
}

const gcc = findGcc();
const why = "missing" in gcc ? gcc.missing : undefined;

describe.skipIf(why).each(SUBJECTS)(`$name${why ? ` (${why})` : ""}`, (subject) => {
  test("prints, and powers off", async () => {
    const { end, output } = await run(subject, "hello");
    expect(output).toBe("[hello]\nbye\n");
    expect(end).toMatchObject({ kind: "power-off", crash: undefined });
    expect(end.stats.instructions).toBeGreaterThan(0);
  });

  test("asks for a restart, which is an end where nobody restarts it", async () => {
    const { end, output } = await run(subject, "restart");
    expect([end.kind, output]).toEqual(["restart", "[restart]\n"]);
  });

  test("is booted anew after each restart where the embedder wants that", async () => {
    const started = await start(subject, "restart", { onRestart: "reboot" });
    const boots: number[] = [];
    const third = new Promise<void>((resolve) => {
      started.guest.on("reboot", (count) => {
        boots.push(count);
        if (count === 3) resolve();
      });
    });
    const ended = started.guest.run();
    await third;
    await started.guest.shutdown();
    expect((await ended).kind).toBe("shutdown");
    expect(boots.slice(0, 3)).toEqual([1, 2, 3]);
    expect(started.output()).toMatch(/^(\[restart\]\n){3}/);
  });

  test("ends in a panic with the kernel's words and a report of where it was", async (context) => {
    const { panic } = subject.reasons;
    if (panic === undefined) return context.skip("a machine knows of no panic");
    const { end, output } = await run(subject, "panic");
    expect([end.kind, output]).toEqual(["panic", "[panic]\n"]);
    expect(end.reason).toMatch(panic);
    expect(end.crash?.registers.eip).toBeGreaterThanOrEqual(0x100000);
  });

  test("dies of a broken rule, by its name, with a report of where it was", async (context) => {
    const { crime } = subject.reasons;
    if (crime === undefined) return context.skip("a machine has no rules to break");
    const { end, output } = await run(subject, "crime");
    expect([end.kind, output]).toEqual(["killed", "[crime]\n"]);
    expect(end.reason).toMatch(crime);
    expect(end.crash?.registers.eip).toBeGreaterThanOrEqual(0x100000);
  });

  test("sleeps between timers without executing anything, in its own time alone", async () => {
    const { end, output } = await run(subject, "ticks 50");
    expect(output).toBe("[ticks 50]\nticks 50\nbye\n");
    expect(end.stats.guestSeconds).toBeCloseTo(0.5, 1);
    expect(end.stats.instructions).toBeLessThan(200_000);
    expect(end.stats.hostSeconds).toBeLessThan(0.4);
  });

  test("reads what is typed before and while it runs, and goes on when it is woken by it", async () => {
    const started = await start(subject, "lines");
    await started.type("first\n");
    const ended = started.guest.run();
    await printed(started, "you said first\n");
    await pause(ASLEEP_MS);
    expect(started.guest.state).toBe("running");
    await started.type("a longer one, in two");
    await started.type(" pieces\nend\n");
    expect((await ended).kind).toBe("power-off");
    expect(started.output()).toBe(
      "[lines]\nyou said first\nyou said a longer one, in two pieces\nbye\n",
    );
  });

  test("sleeps while its input is open, and is stuck once that has ended", async () => {
    const started = await start(subject, "sleep");
    const ended = started.guest.run();
    await printed(started, "[sleep]\n");
    await pause(ASLEEP_MS);
    const { instructions } = await started.guest.stats();
    await pause(ASLEEP_MS);
    expect((await started.guest.stats()).instructions).toBe(instructions);
    expect(started.guest.state).toBe("running");
    await started.endOfInput();
    expect((await ended).kind).toBe("deadlocked");
  });

  test("is paused between two instructions, goes on, and is shut down or killed with a reason", async () => {
    const started = await start(subject, "burn");
    const ended = started.guest.run();
    await printed(started, "[burn]\n");
    await started.guest.pause();
    const { instructions } = await started.guest.stats();
    await pause(ASLEEP_MS);
    expect((await started.guest.stats()).instructions).toBe(instructions);
    expect(started.guest.state).toBe("paused");
    await started.guest.resume();
    await pause(ASLEEP_MS);
    expect((await started.guest.stats()).instructions).toBeGreaterThan(instructions);
    await started.guest.kill("no more of this");
    expect(await ended).toMatchObject({ kind: "killed", reason: "no more of this" });

    const other = await start(subject, "burn");
    const over = other.guest.run();
    await printed(other, "[burn]\n");
    expect((await other.guest.shutdown()).kind).toBe("shutdown");
    expect((await over).crash).toBeUndefined();
  });

  test("stops when the embedder's signal says so", async () => {
    const controller = new AbortController();
    const started = await start(subject, "burn", { signal: controller.signal });
    const ended = started.guest.run();
    await printed(started, "[burn]\n");
    controller.abort(new Error("the embedder has other plans"));
    await expect(ended).rejects.toThrow("the embedder has other plans");
    await expect.poll(() => started.guest.state).toBe("dead");
  });

  test("takes a non-maskable interrupt every so many instructions, the same ones in every run", async () => {
    const runs = [];
    for (const sliceInstructions of [100_000, 333]) {
      const debug = { digestAtEnd: true };
      const extra = { nmiEvery: 20_000, sliceInstructions, debug };
      const { end, output } = await run(subject, "nmis 5", extra);
      expect(output).toBe("[nmis 5]\nnmis 5\nbye\n");
      expect(end.stats.traps["2"] ?? 5).toBe(5);
      runs.push([end.digest, end.stats.instructions]);
    }
    expect(runs[1]).toEqual(runs[0]);
  });

  test("takes one that the embedder sends", async () => {
    const started = await start(subject, "nmis 1");
    const ended = started.guest.run();
    await printed(started, "[nmis 1]\n");
    await started.guest.nmi();
    expect((await ended).kind).toBe("power-off");
    expect(started.output()).toBe("[nmis 1]\nnmis 1\nbye\n");
  });

  test.each(["hello", "ticks 20", "lines"])(
    "%s comes to the same in slices of any length and with translations dropped at random",
    async (command) => {
      const input = command === "lines" ? "one\ntwo\nend\n" : "";
      const outcome = async (extra: Partial<GuestOptions>) => {
        const debug = { digestAtEnd: true, ...extra.debug };
        const { end, output } = await run(subject, command, { ...extra, debug }, input);
        const { instructions, traps, guestSeconds } = end.stats;
        return { kind: end.kind, output, digest: end.digest, instructions, traps, guestSeconds };
      };
      const first = await outcome({});
      expect(first.kind).toBe("power-off");
      for (const sliceInstructions of [1000, 1009, 9973]) {
        expect(await outcome({ sliceInstructions })).toEqual(first);
      }
      expect(await outcome({ debug: { chaosSeed: 4711 } })).toEqual(first);
    },
  );

  test("is the same guest in a worker", async () => {
    const outcome = async (mode: "inline" | "worker") => {
      const extra = { mode, debug: { digestAtEnd: true } };
      const { end, output } = await run(subject, "lines", extra, "one\nend\n");
      return [end.kind, output, end.digest, end.stats.instructions];
    };
    expect(await outcome("worker")).toEqual(await outcome("inline"));
  });

  test("a recording of what came from outside makes the same run again", async () => {
    const debug = { record: true, digestAtEnd: true };
    const started = await start(subject, "lines", { debug });
    const ended = started.guest.run();
    await started.type("something\n");
    await printed(started, "you said something\n");
    await started.type("end\n");
    const end = await ended;
    expect(end.kind).toBe("power-off");
    const replay = end.recording!;
    expect(replay.length).toBeGreaterThan(0);
    const again = await start(subject, "lines", { replay, debug: { digestAtEnd: true } });
    const repeated = await again.guest.run();
    expect(again.output()).toBe(started.output());
    expect(repeated.digest).toBe(end.digest);
    expect(repeated.stats.instructions).toBe(end.stats.instructions);
  });

  test("counts what it did: instructions, crossings by reason, time, memory", async () => {
    const { end } = await run(subject, "ticks 5");
    const { stats } = end;
    const sum = Object.values(stats.exits).reduce((total, count) => total + count, 0);
    expect(stats.crossings).toBe(sum);
    expect(stats.framesHeld).toBeGreaterThan(0);
    expect(stats.framesHeld).toBeLessThanOrEqual(MEMORY_BYTES / 4096 + 256);
    expect(stats.guestSeconds).toBeGreaterThan(0.04);
    expect(stats.droppedOutputBytes).toBe(0);
  });
});
