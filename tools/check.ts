/**
 * `npm run check`: everything that can be wrong without running a guest: types of both languages, format and lint, the layering
 * law, the tour's numbers, generated files. Runs side by side and prints the output of what failed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runNode } from "./files.ts";

const TSC = "node_modules/typescript/bin/tsc";
const TSX = "node_modules/tsx/dist/cli.mjs";
const INCREMENTAL = (name: string) => [
  "--incremental",
  "--tsBuildInfoFile",
  `build/${name}.tsbuildinfo`,
];

const STEPS: [string, string[]][] = [
  ["types (host, tests, tools)", [TSC, "-p", ".", ...INCREMENTAL("check")]],
  ["types (core)", [TSC, "-p", "core-as", ...INCREMENTAL("check-core")]],
  [
    "format and lint",
    [
      "node_modules/@biomejs/biome/bin/biome",
      "ci",
      "--error-on-warnings",
      "--colors=off",
      "--max-diagnostics=20",
    ],
  ],
  ["layers", [TSX, "tools/layers.ts"]],
  ["tour", [TSX, "tools/tour.ts", "--check"]],
];
if (existsSync(join(ROOT, "tools/generate.ts"))) {
  STEPS.push(["generated files", [TSX, "tools/generate.ts", "--check"]]);
}

const results = await Promise.all(
  STEPS.map(async ([name, args]) => {
    const ran = await runNode(args);
    console.log(`${ran.code === 0 ? "ok  " : "FAIL"} ${name} (${ran.seconds.toFixed(1)} s)`);
    if (ran.code !== 0) console.log(ran.output);
    return ran.code;
  }),
);
process.exit(results.every((code) => code === 0) ? 0 : 1);
