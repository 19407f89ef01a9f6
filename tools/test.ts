/**
 * `npm test`: builds, runs `npm run check` and every test, prints skipped tests with their reason, and ends with one line
 * `N passed, N failed[, N skipped]`. The build and the check count as one test each. With arguments
 * (`npm test -- test/unit/boot`) only the named tests run.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runNode } from "./files.ts";

const RESULTS = "build/test-results.json";
const TSX = "node_modules/tsx/dist/cli.mjs";
const VITEST = "node_modules/vitest/vitest.mjs";

/** The part of vitest's JSON report that is read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numFailedTestSuites: number;
  success: boolean;
  testResults: {
    name: string;
    message?: string;
    status: string;
    assertionResults: { status: string; fullName: string; meta?: { note?: string } }[];
  }[];
}

let passed = 0;
let failed = 0;
let skipped = 0;

async function step(name: string, args: string[]): Promise<void> {
  const { code, output, seconds } = await runNode(args);
  console.log(`${code === 0 ? "ok  " : "FAIL"} ${name} (${seconds.toFixed(1)} s)`);
  if (code === 0) passed++;
  else {
    failed++;
    console.log(output);
  }
}

async function runTests(filters: string[]): Promise<void> {
  rmSync(join(ROOT, RESULTS), { force: true });
  const { code, output } = await runNode([
    VITEST,
    "run",
    "--reporter=dot",
    "--reporter=json",
    `--outputFile.json=${RESULTS}`,
    ...filters,
  ]);
  console.log(output.trimEnd());
  let report: Report;
  try {
    report = JSON.parse(readFileSync(join(ROOT, RESULTS), "utf8"));
  } catch {
    console.log("FAIL vitest did not finish: no report was written");
    failed++;
    return;
  }
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const file of report.testResults) {
    // A file that cannot be loaded has no tests to count.
    if (
      file.status === "failed" &&
      !file.assertionResults.some((test) => test.status === "failed")
    ) {
      failed++;
      console.log(`FAIL ${file.name.replace(ROOT, "")}: ${file.message ?? "could not be loaded"}`);
    }
    for (const test of file.assertionResults) {
      if (!["skipped", "pending", "todo", "disabled"].includes(test.status)) continue;
      skipped++;
      console.log(`skip ${test.fullName}`);
    }
  }
  // An error outside any test (an unhandled rejection, a crashed worker) fails the run although every test passed.
  if (code !== 0 && failed === 0) failed++;
}

const filters = process.argv.slice(2);
await step("build", [TSX, "tools/build.ts"]);
await step("build core, debug", [TSX, "tools/build.ts", "core"]);
if (filters.length === 0) await step("check", [TSX, "tools/check.ts"]);
await runTests(filters);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed === 0 ? 0 : 1;
