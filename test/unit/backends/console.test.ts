import { expect, it } from "vitest";
import { CallbackConsole } from "../../../host-ts/backends/console.ts";

const utf8 = new TextEncoder().encode("grüß");

it("a callback console hands every piece on", () => {
  const pieces: Uint8Array[] = [];
  const console = new CallbackConsole((bytes) => pieces.push(bytes));
  console.write(utf8);
  expect([pieces, console.size()]).toEqual([[utf8], undefined]);
});
