/**
 * `npm test`: builds, runs `npm run check` and every test, prints skipped tests with their reason, and ends with one line
 * `N passed, N failed[, N skipped]`. Each build, and the check, count as one test. With arguments
 * (`npm test -- test/unit/boot`) only the named tests run. Guests of others that can be made here are made meanwhile.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DEBIAN_VARIABLE, makeDebianGuests } from "./debian-guests.ts";
import { ROOT, runNode } from "./files.ts";
import { SUMMARY, type Summary } from "./summary-reporter.ts";

const TSX = "node_modules/tsx/dist/cli.mjs";
const VITEST = "node_modules/vitest/vitest.mjs";

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
  const path = join(ROOT, SUMMARY);
  rmSync(path, { force: true });
  const reporters = ["--reporter=default", "--reporter=./tools/summary-reporter.ts"];
  const { code, output } = await runNode([VITEST, "run", ...reporters, ...filters]);
  console.log(output.trimEnd());
  let summary: Summary;
  try {
    summary = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    console.log("FAIL vitest did not finish: it left no summary");
    failed++;
    return;
  }
  passed += summary.passed;
  failed += summary.failed + summary.broken.length;
  skipped += summary.skipped.length;
  for (const what of summary.broken) console.log(`FAIL ${what}`);
  for (const { name, reason } of summary.skipped) console.log(`skip ${name}: ${reason}`);
  if (code !== 0 && summary.failed + summary.broken.length === 0) {
    console.log(`FAIL vitest ended with code ${code} although no test failed`);
    failed++;
  }
}

const filters = process.argv.slice(2);
const debianGuests = makeDebianGuests();
await step("build", [TSX, "tools/build.ts"]);
await step("build the core with assertions", [TSX, "tools/build.ts", "core"]);
if (filters.length === 0) await step("check", [TSX, "tools/check.ts"]);
const debian = await debianGuests;
if ("folder" in debian) process.env[DEBIAN_VARIABLE] = debian.folder;
else console.log(`note: no Debian guests: ${debian.reason}`);
await runTests(filters);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed === 0 ? 0 : 1;
