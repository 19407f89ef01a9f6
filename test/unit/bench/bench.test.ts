import { expect, test } from "vitest";
import { KERNELS } from "../../../bench/kernels.ts";
import { geometricMean, kernelRows, median } from "../../../bench/report.ts";
import { Stopwatch } from "../../../bench/stopwatch.ts";
import { threadCpuMs } from "../../../host-ts/launcher/thread-clock.ts";

const [sieve] = KERNELS;
const measured = (change: object = {}) => ({
  kernel: sieve!.name,
  checksum: "0000002a",
  cpuMs: 10,
  instructions: 4_000_000,
  ...change,
});
const bytes = (text: string) => Buffer.from(text, "latin1");

test("medians and geometric means", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(geometricMean([2, 8])).toBeCloseTo(4);
});

test("the time a thread has spent on a CPU grows while it computes", () => {
  const startMs = threadCpuMs();
  const deadlineMs = performance.now() + 1000;
  while (threadCpuMs() === startMs && performance.now() < deadlineMs);
  expect(threadCpuMs()).toBeGreaterThan(startMs);
});

test("a stopwatch reads one measurement for each step, however the output is cut", () => {
  const steps = [
    { kernel: "crc", rounds: 1 },
    { kernel: "fib", rounds: 2 },
  ];
  let retired = 0;
  const stopwatch = new Stopwatch(steps, () => (retired += 50));
  for (const part of ["[", "]0000", "002a\n[", "]deadbeef\ndo", "ne\n"])
    stopwatch.read(bytes(part));
  expect(stopwatch.isDone).toBe(true);
  expect(stopwatch.measurements).toMatchObject([
    { kernel: "crc", checksum: "0000002a", instructions: 50 },
    { kernel: "fib", checksum: "deadbeef", instructions: 50 },
  ]);
});

test("a stopwatch refuses what no plan prints, an early end included", () => {
  const stopwatch = new Stopwatch([{ kernel: "crc", rounds: 1 }], () => 0);
  expect(() => stopwatch.read(bytes("fault\n"))).toThrow('"fault"');
  expect(() => stopwatch.read(bytes("done\n"))).toThrow('"done"');
});

test("a row gives both systems' rates by our count of instructions", () => {
  const [row] = kernelRows(
    [sieve!],
    [measured()],
    [measured({ cpuMs: 80, instructions: 4_000_900 })],
  );
  expect(row).toMatchObject({ ours: { mips: 400 }, v86: { mips: 50 }, ratio: 8 });
});

test.each([
  ["checksum", { checksum: "0000002b" }],
  ["instruction count", { instructions: 4_100_000 }],
])("systems that differ in their %s are not compared", (_, change) => {
  expect(() => kernelRows([sieve!], [measured()], [measured(change)])).toThrow(sieve!.name);
});
