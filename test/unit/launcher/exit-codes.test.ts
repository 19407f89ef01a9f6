import { expect, test } from "vitest";
import {
  EXIT_CODE_HELP,
  exitCodeOfEnd,
  exitCodeOfSignal,
} from "../../../host-ts/launcher/exit-codes.ts";

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
  expect(codes).toEqual(expect.arrayContaining([0, 1, 2, 3, 4, 5, 6, 7, 8, "n"]));
});
