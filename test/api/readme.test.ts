/** What the README shows must work as it stands there: the example is cut out of it and run by plain Node. */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { EXIT_CODE_HELP } from "../../host-ts/launcher/exit-codes.ts";
import { ROOT, readSource } from "../../tools/files.ts";

const README = readSource("README.md");

test("the embedding example boots the embedded guest and reports how it ended", async () => {
  const example = /```js\n([\s\S]*?)```/.exec(README)?.[1] ?? "";
  // Inside the package's own folder the name "wasmvisor" means the built package.
  const file = join(ROOT, "build/readme-example.mjs");
  mkdirSync(join(ROOT, "build"), { recursive: true });
  writeFileSync(file, example);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
  expect(stdout).toMatch(/168 primes/);
  expect(stdout).toMatch(/power-off after \d+ instructions/);
}, 90_000);

test("the README lists every exit code", () => {
  for (const [code] of EXIT_CODE_HELP) expect(README).toContain(`| ${code} |`);
});
