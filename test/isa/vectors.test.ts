/**
 * The core against recorded silicon: a sample that lies in the repository, and the whole collection when it is beside it
 * (WASMVISOR_VECTORS, or ../shared/vectors), thinned so that the tests stay quick. `npm run test:vectors -- DIR` runs everything.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import type { CpuDriver } from "../drivers/cpu-driver.ts";
import { VectorFile } from "../drivers/nv1.ts";
import { runGroup } from "../drivers/run-vectors.ts";

const SUFFIX = ".nv.gz";
const SAMPLE = fileURLToPath(new URL("vectors/", import.meta.url));
const COLLECTION =
  process.env.WASMVISOR_VECTORS ??
  fileURLToPath(new URL("../../../shared/vectors/", import.meta.url));
/** Every so many cases of the collection, chosen not to divide the step of the sample. */
const COLLECTION_STEP = 11;
/** Groups whose cases run more than a few instructions. */
const COUNTED = ["string", "sequences", "programs", "fault"];
/** Groups with loops, repeated instructions, faults and mode changes. */
const SENSITIVE = ["string", "stackflow", "sequences", "programs", "fault", "seg", "code16"];

const plainDriver = createCoreDriver();

function groupsIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length));
}

/** Runs a group and demands that nothing differs, not even what the architecture leaves open; the first differences are the message. */
function expectSilicon(
  directory: string,
  group: string,
  step: number,
  driver: CpuDriver = plainDriver,
): void {
  const file = new VectorFile(readFileSync(join(directory, group + SUFFIX)));
  const result = runGroup(driver, file.sample(step), 1, true);
  const failures = [...result.failuresByName.values()].flat().slice(0, 5);
  const report = failures.map(({ test, differences }) => ({
    name: test.name,
    code: Buffer.from(test.code).toString("hex"),
    differences,
  }));
  expect(report).toEqual([]);
  expect([result.failed, result.softFailed]).toEqual([0, 0]);
  expect(result.passed).toBeGreaterThan(0);
}

const groups = groupsIn(SAMPLE);

describe("a sample of what silicon did", () => {
  it.each(groups)("%s: the core does the same", (group) => {
    expectSilicon(SAMPLE, group, 1);
  });
});

describe("what a guest must not notice", () => {
  const single = createCoreDriver({ slice: 1 });
  const chaotic = createCoreDriver({ chaosSeed: 1 });
  const some = groups.filter((group) => SENSITIVE.includes(group));
  it.each(some)("%s: slices of one instruction change nothing", (group) => {
    expectSilicon(SAMPLE, group, 2, single);
  });
  const pae = createCoreDriver({ pae: true });
  const segmented = createCoreDriver({ segmented: true });
  it.each(some)("%s: PAE page tables change nothing", (group) => {
    expectSilicon(SAMPLE, group, 2, pae);
  });
  it.each(some)("%s: segments that are not flat change nothing", (group) => {
    expectSilicon(SAMPLE, group, 2, segmented);
  });
  it.each(some)("%s: dropping cached translations at random changes nothing", (group) => {
    expectSilicon(SAMPLE, group, 2, chaotic);
  });
});

describe("the instruction count", () => {
  const drivers = [
    createCoreDriver(),
    createCoreDriver({ slice: 1 }),
    createCoreDriver({ slice: 7 }),
    createCoreDriver({ chaosSeed: 2 }),
    createCoreDriver({ segmented: true }),
    createCoreDriver({ assertions: false }),
  ];
  it.each(COUNTED)(
    "%s: is the same for every slice size, cache state and form of code",
    (group) => {
      const file = new VectorFile(readFileSync(join(SAMPLE, group + SUFFIX)));
      for (const test of file.sample(5)) {
        const counts = drivers.map((driver) => driver.run(test).retired);
        expect(new Set(counts).size, `${test.name}: ${counts}`).toBe(1);
        expect(counts[0]).toBeGreaterThanOrEqual(0);
      }
    },
  );
});

describe("the whole collection, thinned", () => {
  if (groupsIn(COLLECTION).length === 0) {
    it.skip("no collection: set WASMVISOR_VECTORS to a folder of NV1 files", () => {});
    return;
  }
  it.each(groups)("%s: the core does what silicon did", (group) => {
    expectSilicon(COLLECTION, group, COLLECTION_STEP);
  });
});
