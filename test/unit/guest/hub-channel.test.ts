import { expect, test, vi } from "vitest";
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

test("the last port to leave closes the way to other threads; who joins later opens it again", async () => {
  const { channels, closed } = watchChannels();
  try {
    const [a, b] = [joinHub("leaving"), joinHub("leaving")];
    a.close();
    a.close();
    expect([channels(), closed()]).toEqual([1, 0]);
    b.close();
    expect([channels(), closed()]).toEqual([1, 1]);
    b.send(Uint8Array.of(1));
    const c = joinHub("leaving");
    b.close();
    expect([channels(), closed()]).toEqual([2, 1]);
    c.close();
    expect(closed()).toBe(2);
  } finally {
    vi.unstubAllGlobals();
  }
});

/** Counts the channels that are opened and closed from here on. */
function watchChannels() {
  let opened = 0;
  let closed = 0;
  class Watched extends BroadcastChannel {
    constructor(name: string) {
      super(name);
      opened++;
    }
    override close(): void {
      closed++;
      super.close();
    }
  }
  vi.stubGlobal("BroadcastChannel", Watched);
  return { channels: () => opened, closed: () => closed };
}
