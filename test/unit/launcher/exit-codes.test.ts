import { execFile } from "node:child_process";
import { describe, expect, test } from "vitest";
import {
  EXIT_CODE_HELP,
  exitCodeOfEnd,
  exitCodeOfSignal,
} from "../../../host-ts/launcher/exit-codes.ts";
import { ROOT } from "../../../tools/files.ts";

interface Outcome {
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

/** Runs the launcher from its sources. */
function launch(...args: string[]): Promise<Outcome> {
  const tsx = "node_modules/tsx/dist/cli.mjs";
  const command = [tsx, "host-ts/launcher/main.ts", ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, { cwd: ROOT }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

test("each way to end has an exit code of its own, and only a power off is success", () => {
  const kinds = ["power-off", "panic", "killed", "restart", "shutdown", "deadlocked"] as const;
  const codes = kinds.map(exitCodeOfEnd);
  expect(codes[0]).toBe(0);
  expect(new Set(codes).size).toBe(kinds.length);
  // 1 and 2 belong to host errors and bad usage.
  expect(codes.filter((code) => code === 1 || code === 2)).toEqual([]);
});

test("signals follow the shell's convention", () => {
  expect([exitCodeOfSignal("SIGINT"), exitCodeOfSignal("SIGTERM")]).toEqual([130, 143]);
});

test("every exit code is explained once", () => {
  const codes = EXIT_CODE_HELP.map(([code]) => code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes).toEqual(expect.arrayContaining([0, 1, 2, 3, 4, 5, 6, 7]));
});

describe("the program", () => {
  test("prints its help and succeeds", async () => {
    const { code, stdout } = await launch("--help");
    expect(code).toBe(0);
    expect(stdout).toContain("wasmvisor run --kernel FILE");
  });

  test("answers bad usage with code 2 and one sentence, no stack trace", async () => {
    const { code, stderr } = await launch("run", "--kernel", "k", "--memory", "lots");
    expect(code).toBe(2);
    expect(stderr).toContain('--memory is "lots"');
    expect(stderr).not.toContain("    at ");
  });

  test("answers a missing kernel with code 1 and the file's name", async () => {
    const { code, stderr } = await launch("run", "--kernel", "no-such-kernel");
    expect(code).toBe(1);
    expect(stderr).toContain("cannot read the kernel no-such-kernel: there is no such file");
  });

  test("answers a file that is no kernel with code 1 and what it found", async () => {
    const { code, stderr } = await launch("run", "--kernel", "LICENSE");
    expect(code).toBe(1);
    expect(stderr).toContain("kernel: the file is not recognised");
  });

  test("answers an option outside its limits with code 2", async () => {
    const { code, stderr } = await launch("demo", "--memory", "1K");
    expect(code).toBe(2);
    expect(stderr).toContain("memoryBytes");
  });
});
