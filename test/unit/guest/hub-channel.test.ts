import { expect, test } from "vitest";
import { joinHub } from "../../../host-ts/guest/hub-channel.ts";

test("frames reach the other ports of this thread at once and other threads as messages, never their sender", async () => {
  const [a, b] = [joinHub("test"), joinHub("test")];
  const elsewhere = joinHub("another");
  const heard: string[] = [];
  a.connect(([byte]) => heard.push(`a${byte}`));
  b.connect(([byte]) => heard.push(`b${byte}`));
  elsewhere.connect(() => heard.push("elsewhere"));
  // What another thread holds is a channel of the same name.
  const thread = new BroadcastChannel("wasmvisor-hub:test");
  const arrived = new Promise<number>((resolve) => {
    thread.onmessage = (event) => resolve((event as MessageEvent<Uint8Array>).data[0] ?? -1);
  });
  a.send(Uint8Array.of(1));
  expect(heard).toEqual(["b1"]);
  expect(await arrived).toBe(1);
  thread.postMessage(Uint8Array.of(2));
  await expect.poll(() => heard).toEqual(["b1", "a2", "b2"]);
  b.close();
  thread.postMessage(Uint8Array.of(3));
  await expect.poll(() => heard.at(-1)).toBe("a3");
  thread.close();
});
