import { expect, test } from "vitest";
import { ConsoleStreams } from "../../../host-ts/guest/console-streams.ts";

test("output beyond what is kept unread is dropped and counted", async () => {
  const streams = new ConsoleStreams({ accept: () => {}, end: () => {} });
  const piece = new Uint8Array(1 << 20);
  for (let i = 0; i < 20; i++) streams.print(piece);
  expect(streams.droppedBytes).toBe(4 << 20);
  streams.end();
  expect((await new Response(streams.readable).bytes()).length).toBe(16 << 20);
});

test("output that its reader declined is not counted", async () => {
  const streams = new ConsoleStreams({ accept: () => {}, end: () => {} });
  await streams.readable.cancel();
  streams.print(new Uint8Array(32 << 20));
  expect(streams.droppedBytes).toBe(0);
});
