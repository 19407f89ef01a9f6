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
/** By name: the result where it is not SUCCESS, what comes on the command line, and vCPUs where it needs more than one. */
// biome-ignore format: a table
const TESTS: readonly string[][] = [
  ["example"], ["selftest"], ["cpuid"], ["cpuid-faulting"], ["msr"], ["debug-regs"], ["memop-seg"],
  ["pv-iopl", "SUCCESS", "hypercall"], ["pv-iopl", "SUCCESS", "vmassist"],
  ["livepatch-priv-check"], ["argo", "SKIP"],
  ["xsa-122"], ["xsa-183"], ["xsa-185"], ["xsa-188"], ["xsa-194"], ["xsa-213"], ["xsa-259"], ["xsa-260"], ["xsa-286"],
  ["xsa-296", "SUCCESS", "", "2"], ["xsa-298"], ["xsa-317"], ["xsa-339"],
];

const title = "the Xen Test Framework, pv32pae";
const why = FOLDER === undefined ? "WASMVISOR_XTF is not set" : undefined;
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test.each(TESTS)(
    "%s ends with %s %s, in the same state on both fault paths",
    async (name = "", expected = "SUCCESS", commandLine = "", vcpus = "1") => {
      const file = join(FOLDER ?? "", "tests", name, `test-pv32pae-${name}`);
      expect(existsSync(file), `${file} is there`).toBe(true);
      const digests: (string | undefined)[] = [];
      for (const faultPath of FAULT_PATHS) {
        const guest = await createGuest({
          kernel: readFileSync(file),
          abi: "xen-pv",
          commandLine,
          vcpus: Number(vcpus),
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
