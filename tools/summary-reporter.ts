/** The vitest reporter behind `npm test`: counts tests, keeps the reason of every skip, writes build/test-summary.json. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Reporter, TestModule } from "vitest/node";
import { ROOT } from "./files.ts";

/** Where the counts of the last run are. */
export const SUMMARY = "build/test-summary.json";

/** What one run of vitest came to. `broken` lists what failed outside any test: files that do not load, stray rejections. */
export interface Summary {
  passed: number;
  failed: number;
  skipped: { name: string; reason: string }[];
  broken: string[];
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], strayErrors: readonly { message?: string }[]): void {
    const summary: Summary = { passed: 0, failed: 0, skipped: [], broken: [] };
    for (const module of modules) {
      for (const error of module.errors()) {
        summary.broken.push(`${module.relativeModuleId}: ${error.message}`);
      }
      for (const suite of module.children.allSuites()) {
        for (const error of suite.errors())
          summary.broken.push(`${suite.fullName}: ${error.message}`);
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") summary.passed++;
        else if (result.state === "failed") summary.failed++;
        else {
          const reason = (result.state === "skipped" && result.note) || "see its name";
          summary.skipped.push({ name: test.fullName, reason });
        }
      }
    }
    for (const error of strayErrors) summary.broken.push(error.message ?? "unknown error");
    const path = join(ROOT, SUMMARY);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(summary));
  }
}
