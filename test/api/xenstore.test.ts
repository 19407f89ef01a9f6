/** xenstore from the embedder's side, on this thread and in a worker. */
import { describe, expect, test } from "vitest";
import { ConfigError, StateError, UnsupportedError } from "../../host-ts/index.ts";
import { boot, spinner } from "../drivers/embedded.ts";
import { xenQuitter, xenRestarter, xenSleeper } from "../drivers/xen-sleeper.ts";

const HOME = "/local/domain/1";

describe.each(["inline", "worker"] as const)("%s", (mode) => {
  const sleeper = () => boot({ mode, kernel: xenSleeper, abi: "xen-pv", name: "sleeper" });

  test("what the domain finds is there before it runs, with its rights", async () => {
    const { guest } = await sleeper();
    const nodes = await guest.xenstore.ls();
    expect(nodes[0]).toEqual({ path: "/", value: "", permissions: ["n0"] });
    expect(nodes).toContainEqual({
      path: `${HOME}/name`,
      value: "sleeper",
      permissions: ["n0", "r1"],
    });
    expect(await guest.xenstore.read("domid")).toBe("1");
    expect(await guest.xenstore.read(`${HOME}/memory/target`)).toBe("8192");
    const [top, ...below] = await guest.xenstore.ls("memory");
    expect(top!.path).toBe(`${HOME}/memory`);
    expect(below.map(({ path }) => path.slice(HOME.length))).toEqual([
      "/memory/target",
      "/memory/static-max",
    ]);
  });

  test("a change enters when the guest runs, with the rights of its place, and watches are told", async () => {
    const { guest } = await sleeper();
    const told: string[] = [];
    const unwatch = await guest.xenstore.watch("data", (path) => told.push(path));
    await guest.xenstore.write("data/greeting", "hello\xff");
    expect(await guest.xenstore.read("data/greeting")).toBeUndefined();
    void guest.run();
    await expect.poll(() => guest.xenstore.read("data/greeting")).toBe("hello\xff");
    expect(await guest.xenstore.ls("data/greeting")).toEqual([
      { path: `${HOME}/data/greeting`, value: "hello\xff", permissions: ["n1"] },
    ]);
    await guest.xenstore.rm("data/greeting");
    await expect.poll(() => guest.xenstore.read("data/greeting")).toBeUndefined();
    await expect
      .poll(() => told)
      .toEqual([`${HOME}/data`, `${HOME}/data/greeting`, `${HOME}/data/greeting`]);
    unwatch();
    await guest.xenstore.write("data/greeting", "");
    await expect.poll(() => guest.xenstore.read("data/greeting")).toBe("");
    expect(told).toHaveLength(3);
  });

  test("malformed paths and values are the embedder's mistakes, a node that is not there is none", async () => {
    const { guest } = await sleeper();
    const { xenstore } = guest;
    for (const path of ["", "a//b", "/a/", "a b", "@introduceDomain"]) {
      await expect(xenstore.read(path)).rejects.toThrow(ConfigError);
      await expect(xenstore.write(path, "")).rejects.toThrow(ConfigError);
      await expect(xenstore.rm(path)).rejects.toThrow(ConfigError);
    }
    await expect(xenstore.write("a", "\u{100}")).rejects.toThrow(ConfigError);
    await expect(xenstore.write("a", "x".repeat(4097))).rejects.toThrow(ConfigError);
    await expect(xenstore.rm("/")).rejects.toThrow(ConfigError);
    await expect(xenstore.watch("a b", () => {})).rejects.toThrow(ConfigError);
    expect([await xenstore.read("nothing"), await xenstore.ls("nothing")]).toEqual([undefined, []]);
    await xenstore.rm("nothing");
  });

  test("after the end there is only what the end brought along", async () => {
    const options = { mode, kernel: xenQuitter, abi: "xen-pv" } as const;
    const { guest } = await boot({ ...options, xen: { storeAtEnd: true } });
    const end = await guest.run();
    expect(end.kind).toBe("power-off");
    expect(end.xenstore?.map(({ path }) => path)).toContain(`${HOME}/control/shutdown`);
    await expect(guest.xenstore.ls()).rejects.toThrow(StateError);
    const other = await boot(options);
    expect((await other.guest.run()).xenstore).toBeUndefined();
  });

  test("a guest of another kind has none", async () => {
    const { guest } = await boot({ mode, kernel: spinner });
    await expect(guest.xenstore.ls()).rejects.toThrow(UnsupportedError);
  });
});

test("changes are part of a recording, and come again at the same instructions", async () => {
  const options = { mode: "inline", kernel: xenSleeper, abi: "xen-pv" } as const;
  const { guest } = await boot({ ...options, debug: { record: true } });
  void guest.run();
  await guest.xenstore.write("data/x", "1");
  await guest.xenstore.rm("control/sysrq");
  await expect.poll(() => guest.xenstore.read("data/x")).toBe("1");
  const replay = await guest.recording();
  expect(replay.map(({ input }) => [input.kind, input.device])).toEqual([
    ["xenstore", "write"],
    ["xenstore", "rm"],
  ]);
  const second = await boot({ ...options, replay });
  void second.guest.run();
  await expect.poll(() => second.guest.xenstore.read("data/x")).toBe("1");
  expect(await second.guest.xenstore.read("control/sysrq")).toBeUndefined();
});

test("a watch stays over a reboot, and is told of the new store", async () => {
  const { guest } = await boot({
    ...{ mode: "inline", kernel: xenRestarter, abi: "xen-pv", onRestart: "reboot" },
  });
  const told: string[] = [];
  await guest.xenstore.watch("domid", (path) => told.push(path));
  expect(told).toEqual([`${HOME}/domid`]);
  void guest.run();
  await expect.poll(() => told.length).toBeGreaterThan(3);
  await guest.shutdown();
});
