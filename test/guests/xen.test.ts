/**
 * Every microkernel of guests/xen/tests through the public API: it ends as it must, and a guest cannot tell how it is run: in short
 * slices, with cached translations dropped at random, on other machine frames, with every trap and call judged in the Host.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { sourceFiles } from "../../tools/files.ts";
import { buildXenMicrokernel, findGcc } from "../../tools/guest-build.ts";
import { type Expected, MICROKERNELS, type Microkernel } from "./xen-tests.ts";

const MEMORY_BYTES = 8 << 20;
/** No microkernel needs so long; one that hangs is ended with this reason. */
const PATIENCE_MS = 20_000;
const SCRAMBLED = { xen: { scramble: 20_261_121 } };

interface Outcome {
  readonly end: GuestEnd;
  readonly output: string;
}

async function run(
  { name, input, vcpus }: Microkernel,
  options: Partial<GuestOptions> = {},
): Promise<Outcome> {
  const { debug, ...others } = options;
  const guest = await createGuest({
    kernel: readFileSync(buildXenMicrokernel(name)),
    abi: "xen-pv",
    vcpus,
    commandLine: "one two",
    memoryBytes: MEMORY_BYTES,
    mode: "inline",
    debug: { digestAtEnd: true, ...debug },
    ...others,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const decoder = new TextDecoder();
  let output = "";
  guest.on("output", (bytes) => {
    output += decoder.decode(bytes, { stream: true });
  });
  const timer = setTimeout(() => guest.kill("the test's patience is over"), PATIENCE_MS);
  const writer = guest.console.writable.getWriter();
  if (input !== "") await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const end = await guest.run();
  clearTimeout(timer);
  return { end, output };
}

function expectEnd({ end, output }: Outcome, expected: Expected): void {
  const verdict = /Test result: (\w+)\s*$/.exec(output)?.[1];
  if (expected.is === "success") {
    expect([verdict, end.kind], output + end.reason).toEqual(["SUCCESS", "power-off"]);
    return;
  }
  expect(verdict, output).toBeUndefined();
  expect(end.kind, end.reason).toBe(expected.kind);
  expect(end.reason).toMatch(expected.reason);
}

/** What a guest and its owner see of a run, whatever frames it has. */
const seen = ({ end, output }: Outcome) => ({
  output,
  kind: end.kind,
  reason: end.reason,
  instructions: end.stats.instructions,
  traps: end.stats.traps,
});
const whole = (outcome: Outcome) => ({ ...seen(outcome), digest: outcome.end.digest });

const gcc = findGcc();
const skipReason = "missing" in gcc ? gcc.missing : undefined;

describe("Xen microkernels", () => {
  for (const microkernel of MICROKERNELS) {
    const { name, expected } = microkernel;
    let first: Outcome | undefined;
    it(name, async (context) => {
      if (skipReason !== undefined) context.skip(skipReason);
      first = await run(microkernel);
      expectEnd(first, expected);
    });

    it(`${name} comes to the same on the classic path`, async (context) => {
      if (skipReason !== undefined) context.skip(skipReason);
      const plain = first ?? (await run(microkernel));
      const classic = await run(microkernel, { xen: { faultPath: "host" } });
      expect(whole(classic)).toEqual(whole(plain));
    });

    it(`${name} comes to the same in short slices, with translations dropped, on other frames`, async (context) => {
      if (skipReason !== undefined) context.skip(skipReason);
      const plain = first ?? (await run(microkernel));
      const short = await run(microkernel, { sliceInstructions: 101 });
      const chaos = await run(microkernel, { debug: { chaosSeed: 1_234_567 } });
      const scrambled = await run(microkernel, SCRAMBLED);
      expect(whole(short)).toEqual(whole(plain));
      expect(whole(chaos)).toEqual(whole(plain));
      expect(seen(scrambled)).toEqual(seen(plain));
    });
  }

  it("every microkernel in the repository is in the table", () => {
    const built = sourceFiles(["guests/xen/tests"], ["main.c"]).map((path) => path.split("/")[3]);
    expect(MICROKERNELS.map(({ name }) => name).sort()).toEqual(built.sort());
  });
});
