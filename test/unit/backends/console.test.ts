import { expect, it } from "vitest";
import {
  BufferConsole,
  CallbackConsole,
  StreamConsole,
} from "../../../host-ts/backends/console.ts";

const utf8 = new TextEncoder().encode("grüß");

it("a buffer console joins characters that were cut between pieces", () => {
  const console = new BufferConsole({ columns: 80, rows: 25 });
  for (const byte of utf8) console.write(Uint8Array.of(byte));
  expect(console.text).toBe("grüß");
  console.clear();
  expect([console.text, console.size()?.rows]).toEqual(["", 25]);
});

it("a callback console hands every piece on", () => {
  const pieces: Uint8Array[] = [];
  const console = new CallbackConsole((bytes) => pieces.push(bytes));
  console.write(utf8);
  expect([pieces, console.size()]).toEqual([[utf8], undefined]);
});

it("a stream console gives its output to a reader, then ends", async () => {
  const console = new StreamConsole();
  console.write(utf8);
  console.close();
  console.write(utf8);
  const pieces: Uint8Array[] = [];
  for await (const piece of console.readable) pieces.push(piece);
  expect(pieces).toEqual([utf8]);
});

it("a stream console outlives its reader", async () => {
  const console = new StreamConsole();
  await console.readable.cancel();
  console.write(utf8);
  console.close();
});
