/** VIRQ_DEBUG as an embedder raises it, on this thread and in a worker, and from a recording. */
import { readFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { createGuest, type GuestOptions } from "../../host-ts/index.ts";
import { buildXenMicrokernel, findGcc } from "../../tools/guest-build.ts";

const gcc = findGcc();

async function run(options: Partial<GuestOptions>, asks: boolean) {
  const guest = await createGuest({
    kernel: readFileSync(buildXenMicrokernel("virq-debug")),
    abi: "xen-pv",
    vcpus: 2,
    memoryBytes: 8 << 20,
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let output = "";
  const writer = guest.console.writable.getWriter();
  let isAsked = !asks;
  guest.on("output", (bytes) => {
    output += String.fromCharCode(...bytes);
    if (isAsked || !output.includes("please")) return;
    isAsked = true;
    void guest.debugEvent();
    void writer.write(Uint8Array.of(10));
  });
  return { end: await guest.run(), output: () => output };
}

it.skipIf("missing" in gcc).each(["inline", "worker"] as const)(
  "a debug event reaches every vCPU that has bound VIRQ_DEBUG, %s, and again from its recording",
  async (mode) => {
    const debug = { record: true, digestAtEnd: true };
    const first = await run({ mode, debug }, true);
    expect(first.output()).toMatch(/^debug events\s+Test result: SUCCESS/m);
    const replay = first.end.recording!;
    expect(replay.some(({ input }) => input.device === "debug")).toBe(true);
    const second = await run({ mode, debug, replay }, false);
    expect(second.end.digest).toBe(first.end.digest);
    expect(second.end.stats.instructions).toBe(first.end.stats.instructions);
  },
);
