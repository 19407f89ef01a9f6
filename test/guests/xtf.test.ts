/**
 * The Xen Test Framework's tests for 32-bit PV guests, built elsewhere and not by us: each ends as it does on a real Xen 4.17. The folder
 * of a built tree comes from the environment (docs/status.md, "Tests that skip").
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { FAULT_PATHS } from "../../host-ts/base/fault-path.ts";
import { createGuest } from "../../host-ts/index.ts";

const FOLDER = process.env.WASMVISOR_XTF;
/** What a test is run with, and how it ends. */
interface XtfTest {
  readonly name: string;
  readonly expected: string;
  readonly commandLine: string;
  readonly vcpus: number;
}

const runs = (name: string, changes: Partial<XtfTest> = {}): XtfTest => {
  return { name, expected: "SUCCESS", commandLine: "", vcpus: 1, ...changes };
};

// biome-ignore format: a table
const TESTS: readonly XtfTest[] = [
  ...["example", "selftest", "cpuid", "cpuid-faulting", "msr", "debug-regs", "memop-seg", "livepatch-priv-check"].map((name) => runs(name)),
  runs("pv-iopl", { commandLine: "hypercall" }), runs("pv-iopl", { commandLine: "vmassist" }),
  runs("argo", { expected: "SKIP" }),
  ...[122, 183, 185, 188, 194, 213, 259, 260, 286, 298, 317, 339].map((number) => runs(`xsa-${number}`)),
  runs("xsa-296", { vcpus: 2 }),
];

const title = "the Xen Test Framework, pv32pae";
const why = FOLDER === undefined ? "WASMVISOR_XTF is not set" : undefined;
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test.each(TESTS)(
    "$name ($commandLine) ends with $expected, in the same state on both fault paths",
    async ({ name, expected, commandLine, vcpus }) => {
      const file = join(FOLDER ?? "", "tests", name, `test-pv32pae-${name}`);
      expect(existsSync(file), `${file} is there`).toBe(true);
      const digests: (string | undefined)[] = [];
      for (const faultPath of FAULT_PATHS) {
        const guest = await createGuest({
          kernel: readFileSync(file),
          abi: "xen-pv",
          commandLine,
          vcpus,
          memoryBytes: 128 << 20,
          xen: { faultPath },
          debug: { digestAtEnd: true },
        });
        onTestFinished(() => guest[Symbol.asyncDispose]());
        let text = "";
        guest.on("output", (bytes) => {
          text += Buffer.from(bytes).toString("latin1");
        });
        const end = await guest.run();
        const verdict = /^Test result: (.*?)\r?$/m.exec(text)?.[1];
        expect([verdict, end.kind]).toEqual([expected, "power-off"]);
        digests.push(end.digest);
      }
      expect(digests[1]).toBe(digests[0]);
    },
  );
});
