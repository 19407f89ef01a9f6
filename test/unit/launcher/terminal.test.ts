import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import {
  type InputStream,
  type OutputStream,
  Terminal,
} from "../../../host-ts/launcher/terminal.ts";

class FakeInput extends EventEmitter {
  isTTY: boolean;
  modes: boolean[] = [];
  isPaused = false;
  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  setRawMode(mode: boolean): void {
    this.modes.push(mode);
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

class FakeOutput extends EventEmitter {
  isTTY = true;
  columns = 80;
  rows = 25;
  keepsUp = true;
  write(): boolean {
    return this.keepsUp;
  }
}

/** A terminal over fakes, and the list of everything it told. */
function open(isTTY: boolean, accepted = Promise.resolve()) {
  const input = new FakeInput(isTTY);
  const output = new FakeOutput();
  const told: unknown[] = [];
  const terminal = new Terminal(input as unknown as InputStream, output as unknown as OutputStream);
  terminal.open({
    input: async (bytes) => {
      told.push(Buffer.from(bytes).toString());
      await accepted;
    },
    inputEnded: () => told.push("ended"),
    command: (command) => told.push([command]),
    resized: (size) => told.push(size),
    outputClosed: () => told.push("closed"),
  });
  return { input, output, terminal, told };
}

test("a terminal is raw while open and put back once, however often it is closed", () => {
  const { input, terminal } = open(true);
  expect(input.modes).toEqual([true]);
  terminal.close();
  terminal.close();
  expect(input.modes).toEqual([true, false]);
  expect(input.isPaused).toBe(true);
});

test("in a terminal Ctrl-A X is a command", () => {
  const { input, told } = open(true);
  input.emit("data", Buffer.from("a\x01xb"));
  expect(told).toEqual(["ab", ["leave"]]);
});

test("a pipe passes every byte through and its end is told", () => {
  const { input, told } = open(false);
  expect(input.modes).toEqual([]);
  input.emit("data", Buffer.from("a\x01x"));
  input.emit("end");
  expect(told).toEqual(["a\x01x", "ended"]);
});

test("a pipe is read no faster than the guest takes it, a terminal always", async () => {
  let accept = () => {};
  const accepted = new Promise<void>((resolve) => {
    accept = resolve;
  });
  const [pipe, other, keys] = [open(false, accepted), open(false, accepted), open(true, accepted)];
  for (const { input } of [pipe, other, keys]) input.emit("data", Buffer.from("x"));
  expect([pipe, other, keys].map(({ input }) => input.isPaused)).toEqual([true, true, false]);
  other.terminal.close();
  accept();
  await new Promise(setImmediate);
  expect([pipe, other].map(({ input }) => input.isPaused)).toEqual([false, true]);
});

test("a new window size is passed on, and nothing after closing", () => {
  const { output, terminal, told } = open(true);
  output.columns = 132;
  output.emit("resize");
  terminal.close();
  output.emit("resize");
  expect(told).toEqual([{ columns: 132, rows: 25 }]);
});

test("output that nobody reads any more is told, and is no crash after closing", () => {
  const { output, terminal, told } = open(true);
  output.emit("error", new Error("EPIPE"));
  expect(told).toEqual(["closed"]);
  terminal.close();
  expect(() => output.emit("error", new Error("EPIPE"))).not.toThrow();
});

test("writing waits for a slow reader, and gives up waiting when it goes away", async () => {
  const { output, terminal } = open(true);
  output.keepsUp = false;
  let isDone = false;
  const first = terminal.write(Uint8Array.of(1)).then(() => (isDone = true));
  await Promise.resolve();
  expect(isDone).toBe(false);
  output.emit("drain");
  await first;
  const second = terminal.write(Uint8Array.of(2));
  output.emit("error", new Error("EPIPE"));
  await second;
});
