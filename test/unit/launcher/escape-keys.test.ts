import { expect, test } from "vitest";
import { EscapeKeys } from "../../../host-ts/launcher/escape-keys.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("what is typed reaches the guest", () => {
  expect(new EscapeKeys().filter(bytes("ls\r"))).toEqual({ input: bytes("ls\r"), commands: [] });
});

test("Ctrl-A X leaves, in either case", () => {
  expect(new EscapeKeys().filter(bytes("a\x01xb"))).toEqual({
    input: bytes("ab"),
    commands: ["leave"],
  });
  expect(new EscapeKeys().filter(bytes("\x01X")).commands).toEqual(["leave"]);
});

test("Ctrl-A twice is one Ctrl-A for the guest", () => {
  expect(new EscapeKeys().filter(bytes("\x01\x01x"))).toEqual({
    input: bytes("\x01x"),
    commands: [],
  });
});

test("a command may arrive in two pieces", () => {
  const keys = new EscapeKeys();
  expect(keys.filter(bytes("\x01")).commands).toEqual([]);
  expect(keys.filter(bytes("h")).commands).toEqual(["help"]);
});

test("an unknown command is dropped", () => {
  expect(new EscapeKeys().filter(bytes("\x01qz"))).toEqual({ input: bytes("z"), commands: [] });
});

test("Ctrl-A P asks for a power off, Ctrl-A Z for a suspension", () => {
  expect(new EscapeKeys().filter(bytes("\x01p\x01Z")).commands).toEqual(["power-off", "suspend"]);
});
