/** What `npm run test:vectors` says of files that are as they should be, and of others. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SAMPLE = join(ROOT, "test/isa/vectors");
const packed = readFileSync(join(SAMPLE, "bcd.nv.gz"));
const plain = gunzipSync(packed);
const directories: string[] = [];

/** Runs the tool on a directory of these files. */
function vectors(files: Readonly<Record<string, Uint8Array>>, ...options: string[]) {
  const directory = mkdtempSync(join(tmpdir(), "wasmvisor-vectors-"));
  directories.push(directory);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(directory, name), bytes);
  return run(directory, ...options);
}

function run(...args: string[]) {
  const command = ["--import", "tsx", join(ROOT, "tools/vectors.ts"), ...args];
  const { stdout, stderr, status } = spawnSync(process.execPath, command, {
    cwd: ROOT,
    encoding: "utf8",
  });
  const lines = stdout.trimEnd().split("\n");
  return { lines, last: lines.at(-1), stderr, status };
}

/** The file with DAS wherever DAA was recorded. */
function withWrongCode(): Uint8Array {
  const bytes = Uint8Array.from(plain);
  const header = 12 + plain.readUInt32LE(8);
  for (let at = header; at < bytes.length; at += 2 + plain.readUInt16LE(at)) {
    if (bytes[at + 5] === 1 && bytes[at + 6] === 0x27) bytes[at + 6] = 0x2f;
  }
  return bytes;
}

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

it("without a directory the sample of the repository runs", () => {
  const { last, status } = run("--step", "50", "--group", "bcd");
  expect(last).toMatch(/^[1-9]\d* passed, 0 failed$/);
  expect(status).toBe(0);
});

it("files are read compressed and as they are", () => {
  const { lines, last } = vectors({ "a.nv": plain, "b.nv.gz": packed });
  expect(lines[0]!.replace(/\(.*/, "")).toBe(lines[1]!.replace(/\(.*/, "").replace("b:", "a:"));
  expect(last).toMatch(/^[1-9]\d* passed, 0 failed$/);
});

it("a file cut off within a case is a failure behind what it has", () => {
  const { lines, last, stderr, status } = vectors({ "a.nv": plain.subarray(0, -5) });
  expect(lines.join("\n")).toContain("a.nv: it ends within case");
  expect(last).toMatch(/^[1-9]\d* passed, 1 failed$/);
  expect([stderr, status]).toEqual(["", 1]);
});

it("files that hold no vectors are a failure each, named, and the others run", () => {
  const bad = {
    "cut-off-archive.nv.gz": packed.subarray(0, 3000),
    "noise.nv.gz": Uint8Array.from({ length: 300 }, (_, i) => (i * 37) & 0xff),
    "empty.nv": new Uint8Array(),
    "magic-alone.nv": plain.subarray(0, 8),
    "half-a-header.nv": plain.subarray(0, 40),
  };
  const { lines, last, stderr, status } = vectors({ ...bad, "z.nv.gz": packed }, "--step", "50");
  for (const name of Object.keys(bad)) {
    expect(lines.some((line) => line.startsWith(`${name}: not an NV1 file: `))).toBe(true);
  }
  expect(last).toMatch(/^[1-9]\d* passed, 5 failed$/);
  expect([stderr, status]).toEqual(["", 1]);
});

it("a directory without vectors, none at all, and a group that is not there end the same way", () => {
  for (const { last, status } of [
    vectors({}),
    run(join(ROOT, "no such directory")),
    vectors({ "a.nv": plain }, "--group", "b"),
  ]) {
    expect(last).toBe("0 passed, 0 failed");
    expect(status).toBe(2);
  }
});

it("failures that are not shown are counted", () => {
  const { lines, status } = vectors({ "a.nv": withWrongCode() }, "--show", "2");
  expect(lines.some((line) => /^ {2}\(\d+ more like it: --show N\)$/.test(line))).toBe(true);
  expect(lines.filter((line) => /^ {2}\w+.*: 2f$/.test(line))).toHaveLength(2);
  expect(status).toBe(1);
});
