/**
 * The package as its users get it: packed, installed into an empty project, run by plain Node.
 * Slow (it calls npm), so everything happens once in beforeAll.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { ROOT } from "../../tools/files.ts";

const execute = promisify(execFile);
const MINUTES = 60_000;
let project: string;
let files: string[];

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "wasmvisor-package-"));
  // The build has run before the tests; packing must not start another one beside them.
  const packed = await execute(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", project],
    { cwd: ROOT },
  );
  const [{ filename, files: list }] = JSON.parse(packed.stdout);
  files = list.map((file: { path: string }) => file.path);
  await writeFile(join(project, "package.json"), '{ "name": "empty", "type": "module" }');
  await execute(
    "npm",
    ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${filename}`],
    {
      cwd: project,
    },
  );
}, 5 * MINUTES);

afterAll(() => rm(project, { recursive: true, force: true }));

describe("the packed package", () => {
  test("holds the program, the core and the embedded guest, and no sources or tests", () => {
    expect(files).toContain("dist/host-ts/launcher/main.js");
    expect(files).toContain("dist/host-ts/index.d.ts");
    expect(files).toContain("build/core.wasm");
    expect(files).toContain("build/core.debug.wasm");
    expect(files).toContain("guests/demo/demo.elf");
    for (const name of ["faults", "faults-xen", "calls", "calls-xen"]) {
      expect(files).toContain(`guests/bench/${name}.elf`);
    }
    expect(files).toContain("LICENSE");
    expect(files.filter((path) => /^(test|tools|core-as|host-ts|bench)\//.test(path))).toEqual([]);
  });

  test("holds every file that its documents link to", async () => {
    const broken: string[] = [];
    for (const page of files.filter((path) => path.endsWith(".md"))) {
      const text = await readFile(join(ROOT, page), "utf8");
      for (const [, target = ""] of text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
        const path = normalize(join(dirname(page), target));
        if (!files.includes(path)) broken.push(`${page}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  test("npx wasmvisor --version prints the version", async () => {
    const { stdout } = await execute("npx", ["wasmvisor", "--version"], { cwd: project });
    expect(stdout.trim()).toBe(`wasmvisor ${packageJson.version}`);
  });

  test(
    "its types satisfy a strict program",
    async () => {
      const program =
        'import { createGuest, type GuestOptions } from "wasmvisor";\nexport const make = (options: GuestOptions) => createGuest(options);\n';
      await writeFile(join(project, "program.ts"), program);
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      const flags = [
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--lib",
        "es2023,dom,esnext.disposable",
      ];
      const types = ["--typeRoots", join(ROOT, "node_modules/@types"), "--types", "node"];
      await execute(process.execPath, [tsc, ...flags, ...types, "program.ts"], { cwd: project });
    },
    MINUTES,
  );

  test(
    "npx wasmvisor demo boots the embedded guest to a power off",
    async () => {
      const script = ["--append", "run=primes 1000;poweroff"];
      const demo = execute("npx", ["wasmvisor", "demo", ...script], { cwd: project });
      demo.child.stdin?.end();
      expect((await demo).stdout).toContain("168 primes up to 1,000");
    },
    MINUTES,
  );
});
