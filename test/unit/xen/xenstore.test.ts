/** xenstore over its ring, as a guest sees it: nodes, rights, quotas, watches, transactions, and the Host's side of it. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  XENSTORE_CONNECTION,
  XENSTORE_ERROR,
  XENSTORE_REQ_PROD,
  XENSTORE_RSP_CONS,
  XENSTORE_RSP_PROD,
  XENSTORE_SERVER_FEATURES,
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RESET_WATCHES,
  XS_RM,
  XS_SET_PERMS,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from "../../../abi/xen-layout.ts";
import { ConfigError, SnapshotError } from "../../../host-ts/base/errors.ts";
import { ownedBy, populateDomain, requestShutdown } from "../../../host-ts/xen/xenstore/domain.ts";
import { StoreAccess } from "../../../host-ts/xen/xenstore/host-access.ts";
import { formatMessage } from "../../../host-ts/xen/xenstore/wire.ts";
import { Xenstore } from "../../../host-ts/xen/xenstore/xenstore.ts";
import { lonePage, StoreGuest } from "./xenstore-guest.ts";

const HOME = "/local/domain/1";

function domain(): { store: Xenstore; guest: StoreGuest } {
  const store = new Xenstore();
  populateDomain(store, {
    domid: 1,
    name: "guest",
    memoryKib: 65536,
    vcpus: 2,
    storeMfn: 0x100,
    storePort: 1,
    consoleMfn: 0x101,
    consolePort: 2,
  });
  return { store, guest: new StoreGuest(store) };
}

describe("nodes", () => {
  it("a domain finds its directory and writes into what is its own", () => {
    const { store, guest } = domain();
    expect(guest.ask(XS_READ, "domid\0")).toBe("1");
    expect(guest.ask(XS_READ, `${HOME}/memory/target\0`)).toBe("65536");
    expect(guest.ask(XS_READ, "control/platform-feature-xs_reset_watches\0")).toBe("1");
    expect(guest.ask(XS_DIRECTORY, "cpu\0")).toBe("0\x001\0");
    expect(guest.ask(XS_WRITE, "control/feature-poweroff\x001")).toBe("OK\0");
    expect(guest.ask(XS_WRITE, "data/a/b/c\0\0\xff binary")).toBe("OK\0");
    expect(guest.ask(XS_READ, "data/a/b/c\0")).toBe("\0\xff binary");
    expect(store.read(`${HOME}/data/a/b/c`)).toBe("\0\xff binary");
    expect(guest.ask(XS_READ, "data/a/b\0")).toBe("");
    expect(guest.ask(XS_MKDIR, "data/d\0")).toBe("OK\0");
    expect(guest.ask(XS_DIRECTORY, "data\0")).toBe("a\0d\0");
    expect(guest.ask(XS_RM, "data/a\0")).toBe("OK\0");
    expect(guest.ask(XS_READ, "data/a/b/c\0")).toBe("ENOENT");
    expect(store.list(`${HOME}/data`)).toEqual(["d"]);
    expect(guest.ask(XS_GET_DOMAIN_PATH, "7\0")).toBe("/local/domain/7\0");
  });

  it("what a domain may not do is refused with the errno that Xen has for it", () => {
    const { guest } = domain();
    expect(guest.ask(XS_WRITE, "name\0other")).toBe("EACCES");
    expect(guest.ask(XS_WRITE, "device/new\0")).toBe("EACCES");
    expect(guest.ask(XS_WRITE, "/local/domain/2/x\0")).toBe("EACCES");
    expect(guest.ask(XS_READ, "/local/domain/0/secret\0")).toBe("EACCES");
    expect(guest.ask(XS_READ, "backend\0")).toBe("ENOENT");
    expect(guest.ask(XS_RM, "data/nothing\0")).toBe("OK\0");
    expect(guest.ask(XS_RM, "data/nothing/below\0")).toBe("ENOENT");
    expect(guest.ask(XS_RM, "/\0")).toBe("EINVAL");
    for (const bad of ["", "a//b", "a/", "sp ace", "@foo", "/a/", "\x80"]) {
      expect(guest.ask(XS_READ, `${bad}\0`), bad).toBe("EINVAL");
    }
    expect(guest.ask(XS_READ, "domid")).toBe("EINVAL");
    expect(guest.ask(XS_READ, `data/${"x".repeat(2048)}\0`)).toBe("EINVAL");
    expect(guest.ask(XS_READ, `/${"x".repeat(2047)}\0`)).not.toBe("EINVAL");
    expect(guest.ask(XS_READ, `/${"x".repeat(2048)}\0`)).toBe("EINVAL");
    expect(guest.ask(XS_READ, `${HOME}/${"x".repeat(2048)}\0`)).not.toBe("EINVAL");
    expect(guest.ask(XS_CONTROL, "print\0")).toBe("EACCES");
    expect(guest.ask(XS_IS_DOMAIN_INTRODUCED, "1\0")).toBe("EACCES");
    expect(guest.ask(XS_CONTROL, "print\0", 77)).toBe("EACCES");
    expect(guest.ask(XS_GET_PERMS, "@releaseDomain\0")).toBe("EACCES");
    expect(guest.ask(XS_SET_PERMS, "@releaseDomain\0n1\0")).toBe("EACCES");
    expect(guest.ask(XS_GET_DOMAIN_PATH, "7\0")).toBe("/local/domain/7\0");
    expect(guest.ask(XS_GET_DOMAIN_PATH, "7")).toBe("EINVAL");
    expect(guest.ask(XS_WATCH, "data\0token\0more\0")).toBe("EINVAL");
    expect(guest.ask(XS_WATCH, "data\0")).toBe("EINVAL");
    expect(guest.ask(XS_INTRODUCE, "2\x001\x001\0")).toBe("EACCES");
    for (const unknown of [XS_WATCH_EVENT, 16, 23, 99, 0xffffffff]) {
      expect(guest.ask(unknown, "\0")).toBe("ENOSYS");
    }
  });

  it("the owner gives rights away, but neither itself nor more than the quota", () => {
    const { store, guest } = domain();
    const other = new StoreGuest(store, 2);
    guest.ask(XS_WRITE, "data/shared\0text");
    expect(guest.ask(XS_GET_PERMS, "data/shared\0")).toBe("n1\0");
    expect(other.ask(XS_READ, `${HOME}/data/shared\0`)).toBe("EACCES");
    expect(guest.ask(XS_SET_PERMS, "data/shared\0n1\0r2\0")).toBe("OK\0");
    expect(other.ask(XS_READ, `${HOME}/data/shared\0`)).toBe("text");
    expect(other.ask(XS_WRITE, `${HOME}/data/shared\0mine`)).toBe("EACCES");
    expect(guest.ask(XS_SET_PERMS, "data/shared\0b1\0")).toBe("OK\0");
    expect(other.ask(XS_WRITE, `${HOME}/data/shared\0mine`)).toBe("OK\0");
    expect(other.ask(XS_SET_PERMS, `${HOME}/data/shared\0n2\0`)).toBe("EACCES");
    expect(guest.ask(XS_SET_PERMS, "data/shared\0n2\0")).toBe("EPERM");
    expect(guest.ask(XS_SET_PERMS, `data/shared\0n1\0${"r2\0".repeat(5)}`)).toBe("ENOSPC");
    for (const bad of ["", "x1\0", "n\0", "n-1\0", "n123456\0"]) {
      expect(guest.ask(XS_SET_PERMS, `data/shared\0${bad}`), bad).toBe("EINVAL");
    }
  });

  it("quotas hold: nodes, bytes of a node, watches, transactions", () => {
    const { store, guest } = domain();
    // Of 2048 bytes, which it may not fill, a node with one entry of rights takes 32 for itself.
    expect(guest.ask(XS_WRITE, `data/big\0${"x".repeat(2015)}`)).toBe("OK\0");
    expect(guest.ask(XS_WRITE, `data/big\0${"x".repeat(2016)}`)).toBe("ENOSPC");
    let made = 0;
    let answer = "OK\0";
    for (; answer === "OK\0" && made < 3000; made++)
      answer = guest.ask(XS_WRITE, `data/${made % 9}/${made}\0`);
    expect(answer).toBe("ENOSPC");
    expect(made).toBeGreaterThan(900);
    store.write(`${HOME}/data/from-host`, "the Host has no quota");
    for (let i = 0; i < 129; i++) expect(guest.ask(XS_WATCH, `data\0${i}\0`)).toBe("OK\0");
    expect(guest.ask(XS_WATCH, "data\0more\0")).toBe("E2BIG");
    for (let i = 0; i < 11; i++) expect(guest.ask(XS_TRANSACTION_START, "\0")).toBe(`${i + 1}\0`);
    expect(guest.ask(XS_TRANSACTION_START, "\0")).toBe("ENOSPC");
    expect(guest.ask(XS_RESET_WATCHES, "\0")).toBe("OK\0");
    expect(guest.ask(XS_TRANSACTION_START, "\0")).toBe("12\0");
  });

  it("a directory too long for one message is read in parts", () => {
    const { store, guest } = domain();
    const names = Array.from({ length: 600 }, (_, i) => `node-${i}`);
    for (const name of names) store.write(`${HOME}/data/${name}`, "");
    expect(guest.ask(XS_DIRECTORY, "data\0")).toBe("E2BIG");
    let listed = "";
    const generations = new Set<string>();
    for (let parts = 0; !listed.endsWith("\0\0"); parts++) {
      expect(parts).toBeLessThan(3);
      const part = guest.ask(XS_DIRECTORY_PART, `data\0${listed.length}\0`);
      const end = part.indexOf("\0") + 1;
      generations.add(part.slice(0, end));
      listed += part.slice(end);
    }
    expect(listed.split("\0").slice(0, -2)).toEqual(names);
    expect(generations.size).toBe(1);
    // Behind the end there is an empty name, as at the end.
    expect(guest.ask(XS_DIRECTORY_PART, "data\x0099999\0")).toMatch(/^\d+\0\0$/);
    expect(guest.ask(XS_DIRECTORY_PART, "data\0")).toBe("EINVAL");
  });
});

describe("watches", () => {
  it("a watch fires at once, on the node, below it and on removal above it, with paths as they were written", () => {
    const { store, guest } = domain();
    expect(guest.ask(XS_WATCH, "data/x\0rel\0")).toBe("OK\0");
    expect(guest.ask(XS_WATCH, `${HOME}/data/x\0abs\0`)).toBe("OK\0");
    expect(guest.takeEvents()).toEqual(["data/x rel", `${HOME}/data/x abs`]);
    store.write(`${HOME}/data/x/y`, "1");
    expect(guest.takeEvents()).toEqual(["data/x/y rel", `${HOME}/data/x/y abs`]);
    guest.ask(XS_WRITE, "data/xy\0no prefix of a name");
    guest.ask(XS_MKDIR, "data/x\0");
    expect(guest.takeEvents()).toEqual([]);
    guest.ask(XS_SET_PERMS, "data/x\0n1\0");
    expect(guest.takeEvents()).toEqual(["data/x rel", `${HOME}/data/x abs`]);
    store.remove(`${HOME}/data`);
    expect(guest.takeEvents()).toEqual(["data/x rel", `${HOME}/data/x abs`]);
    expect(guest.ask(XS_WATCH, "data/x\0rel\0")).toBe("EEXIST");
    expect(guest.ask(XS_UNWATCH, "data/x\0rel\0")).toBe("OK\0");
    expect(guest.ask(XS_UNWATCH, "data/x\0rel\0")).toBe("ENOENT");
    expect(guest.ask(XS_WATCH, "data\0")).toBe("EINVAL");
  });

  it("nobody hears of what it may not read, nor of domains unless it is the Host", () => {
    const { store, guest } = domain();
    expect(guest.ask(XS_WATCH, "/\0all\0")).toBe("OK\0");
    expect(guest.ask(XS_WATCH, "@introduceDomain\0come\0")).toBe("OK\0");
    expect(guest.takeEvents()).toEqual(["/ all", "@introduceDomain come"]);
    const heard: string[] = [];
    const stop = store.watch("@introduceDomain", (path) => heard.push(path));
    store.watch("@releaseDomain", (path) => heard.push(path));
    store.write("/local/domain/0/secret", "");
    new StoreGuest(store, 2);
    expect(guest.takeEvents()).toEqual([]);
    store.release(2);
    stop();
    new StoreGuest(store, 3);
    expect(heard).toEqual([
      "@introduceDomain",
      "@releaseDomain",
      "@introduceDomain",
      "@releaseDomain",
    ]);
  });

  it("who may read a directory hears of all in it, and of rights that it loses", () => {
    const { store, guest } = domain();
    guest.ask(XS_WATCH, "control/x\0t\0");
    guest.ask(XS_WATCH, "control/x/y\0t\0");
    guest.takeEvents();
    store.write(`${HOME}/control/x/y`, "1");
    store.setPermissions(`${HOME}/control/x`, [{ domid: 0, access: "n" }]);
    store.write(`${HOME}/control/x`, "2");
    expect(guest.ask(XS_READ, "control/x\0")).toBe("EACCES");
    // The node itself may still be read; then neither it nor its directory.
    store.write(`${HOME}/control/x/y`, "2");
    store.setPermissions(`${HOME}/control/x/y`, [{ domid: 0, access: "n" }]);
    store.write(`${HOME}/control/x/y`, "3");
    const y = ["control/x/y t", "control/x/y t"];
    expect(guest.takeEvents()).toEqual([...y, "control/x t", "control/x t", ...y, ...y]);
  });

  it("the Host's listener hears after the guest's call, and may write", () => {
    const { store, guest } = domain();
    const heard: string[] = [];
    store.watch(`${HOME}/data`, (path) => {
      heard.push(path);
      if (path.endsWith("/question")) store.write(`${HOME}/data/answer`, "42");
    });
    guest.ask(XS_WATCH, "data/answer\0t\0");
    guest.takeEvents();
    guest.ask(XS_WRITE, "data/question\0?");
    expect(heard).toEqual([`${HOME}/data`, `${HOME}/data/question`, `${HOME}/data/answer`]);
    expect(guest.takeEvents()).toEqual(["data/answer t"]);
  });
});

describe("the embedder", () => {
  it("a listener that throws keeps neither the guest's call nor other listeners from going on", () => {
    const { store, guest } = domain();
    const outside = vi.spyOn(globalThis, "queueMicrotask").mockImplementation(() => {});
    onTestFinished(() => void outside.mockRestore());
    const heard: string[] = [];
    const access = new StoreAccess(store, 1);
    access.watch("data", () => {
      throw new Error("the embedder's own");
    });
    access.watch("data", (path) => heard.push(path));
    expect(guest.ask(XS_WRITE, "data/a\x001")).toBe("OK\0");
    expect(heard).toEqual([`${HOME}/data`, `${HOME}/data/a`]);
    expect(outside).toHaveBeenCalledTimes(2);
  });

  it("a domain of any name has it in UTF-8", () => {
    const store = new Xenstore();
    const facts = { domid: 1, memoryKib: 1, vcpus: 1, storeMfn: 1, storePort: 1 };
    const populate = (name: string) =>
      populateDomain(store, { ...facts, consoleMfn: 2, consolePort: 2, name });
    populate("Gast \u2603");
    expect(store.read(`${HOME}/name`)).toBe("Gast \xe2\x98\x83");
    populate("\u2603".repeat(4000));
    expect(store.read(`${HOME}/name`)).toHaveLength(4096);
  });
});

describe("transactions", () => {
  const start = (guest: StoreGuest) => Number(guest.ask(XS_TRANSACTION_START, "\0").slice(0, -1));

  it("changes are seen inside at once, outside after the commit, and watches fire once then", () => {
    const { store, guest } = domain();
    guest.ask(XS_WATCH, "data\0t\0");
    guest.takeEvents();
    const id = start(guest);
    expect(guest.ask(XS_WRITE, "data/a\x001", id)).toBe("OK\0");
    expect(guest.ask(XS_WRITE, "data/a\x002", id)).toBe("OK\0");
    expect(guest.ask(XS_READ, "data/a\0", id)).toBe("2");
    expect(guest.ask(XS_READ, "data/a\0")).toBe("ENOENT");
    expect(guest.takeEvents()).toEqual([]);
    expect(guest.ask(XS_TRANSACTION_END, "T\0", id)).toBe("OK\0");
    expect(guest.takeEvents()).toEqual(["data/a t"]);
    expect(store.read(`${HOME}/data/a`)).toBe("2");
    expect(guest.ask(XS_READ, "data/a\0", id)).toBe("ENOENT");
  });

  it("an aborted transaction leaves nothing", () => {
    const { guest } = domain();
    const id = start(guest);
    guest.ask(XS_RM, "data\0", id);
    expect(guest.ask(XS_DIRECTORY, "data\0", id)).toBe("ENOENT");
    expect(guest.ask(XS_TRANSACTION_END, "F\0", id)).toBe("OK\0");
    expect(guest.ask(XS_DIRECTORY, "data\0")).toBe("");
  });

  it.each([
    ["read", (guest: StoreGuest, id: number) => guest.ask(XS_READ, "data/n\0", id)],
    ["missed", (guest: StoreGuest, id: number) => guest.ask(XS_READ, "data/new\0", id)],
    ["listed", (guest: StoreGuest, id: number) => guest.ask(XS_DIRECTORY, "data\0", id)],
    ["written", (guest: StoreGuest, id: number) => guest.ask(XS_WRITE, "data/n\0mine", id)],
  ])("what was %s and changed meanwhile makes it fail with EAGAIN", (_, touch) => {
    const { store, guest } = domain();
    guest.ask(XS_WRITE, "data/n\0old");
    const id = start(guest);
    touch(guest, id);
    store.write(`${HOME}/data/n`, "host");
    store.write(`${HOME}/data/new`, "host");
    expect(guest.ask(XS_TRANSACTION_END, "T\0", id)).toBe("EAGAIN");
    expect(store.read(`${HOME}/data/n`)).toBe("host");
    const again = start(guest);
    touch(guest, again);
    expect(guest.ask(XS_TRANSACTION_END, "T\0", again)).toBe("OK\0");
  });

  it("nodes elsewhere may change, and two transactions on different nodes both succeed", () => {
    const { store, guest } = domain();
    guest.ask(XS_WRITE, "data/a\0");
    guest.ask(XS_WRITE, "data/b\0");
    const [first, second] = [start(guest), start(guest)];
    guest.ask(XS_WRITE, "data/a\x001", first);
    guest.ask(XS_WRITE, "data/b\x002", second);
    store.write(`${HOME}/memory/target`, "1");
    expect(guest.ask(XS_TRANSACTION_END, "T\0", first)).toBe("OK\0");
    expect(guest.ask(XS_TRANSACTION_END, "T\0", second)).toBe("OK\0");
  });

  it("a directory removed under a transaction's feet is no trouble", () => {
    const { store, guest } = domain();
    guest.ask(XS_WRITE, "data/d/e/f\0");
    const id = start(guest);
    guest.ask(XS_WRITE, "data/d/g\0", id);
    store.remove(`${HOME}/data/d/e`);
    expect(guest.ask(XS_RM, "data/d\0", id)).toBe("OK\0");
    guest.ask(XS_WRITE, "data/d/e/f/h\0", id);
    store.remove(`${HOME}/data`);
    guest.ask(XS_RM, "data\0", id);
    expect(guest.ask(XS_TRANSACTION_END, "T\0", id)).toBe("EAGAIN");
  });

  it("misuse is answered: nested, unknown, malformed, endless", () => {
    const { guest } = domain();
    const id = start(guest);
    expect(guest.ask(XS_TRANSACTION_START, "\0", id)).toBe("EBUSY");
    expect(guest.ask(XS_READ, "domid\0", 77)).toBe("ENOENT");
    expect(guest.ask(XS_TRANSACTION_END, "T\0", 77)).toBe("ENOENT");
    expect(guest.ask(XS_TRANSACTION_END, "T\0")).toBe("ENOENT");
    expect(guest.ask(XS_WATCH, "data\0outside\0", 77)).toBe("OK\0");
    expect(guest.ask(XS_UNWATCH, "data\0outside\0", 77)).toBe("OK\0");
    expect(guest.ask(99, "\0", 77)).toBe("ENOSYS");
    expect(guest.ask(XS_TRANSACTION_END, "X\0", id)).toBe("EINVAL");
    let answer = "";
    for (let i = 0; i < 2000 && answer !== "ENOSPC"; i++)
      answer = guest.ask(XS_READ, `data/${i}\0`, id);
    expect(answer).toBe("ENOSPC");
  });
});

describe("the ring", () => {
  it("requests and answers may be cut anywhere, and are longer than the ring", () => {
    const { guest } = domain();
    const value = Array.from({ length: 2000 }, (_, i) => String.fromCharCode(32 + (i % 90))).join(
      "",
    );
    expect(guest.ask(XS_WRITE, `data/long\0${value}`)).toBe("OK\0");
    expect(guest.ask(XS_READ, "data/long\0")).toBe(value);
    const bytes = formatMessage({
      type: XS_READ,
      requestId: 7,
      transactionId: 0,
      payload: "domid\0",
    });
    for (const byte of bytes.subarray(0, -1)) guest.send(Uint8Array.of(byte));
    expect(guest.notified).toBeGreaterThan(0);
    guest.page.writeU32(XENSTORE_RSP_CONS, guest.page.readU32(XENSTORE_RSP_PROD));
  });

  it("a guest that reads no answers is asked to wait, and loses nothing but repeated events", () => {
    const { store, guest } = domain();
    guest.ask(XS_WATCH, "memory\0t\0");
    guest.takeEvents();
    for (let i = 0; i < 5000; i++) store.write(`${HOME}/memory/target`, String(i));
    for (let i = 0; i < 3; i++) store.write(`${HOME}/memory/n${i}`, "");
    expect(guest.takeEvents().slice(-4)).toEqual([
      "memory/target t",
      "memory/n0 t",
      "memory/n1 t",
      "memory/n2 t",
    ]);
    expect(guest.ask(XS_READ, "memory/target\0")).toBe("4999");
  });

  it("of the thousands of events of a commit as many wait as there is room for, each once", () => {
    const { store, guest } = domain();
    const directory = `data/${"d".repeat(1900)}`;
    guest.ask(XS_WRITE, `${directory}\0`);
    for (let watch = 100; watch < 220; watch++) guest.ask(XS_WATCH, `${directory}\0${watch}\0`);
    const transactionId = Number.parseInt(guest.ask(XS_TRANSACTION_START, "\0"), 10);
    for (let node = 100; node < 500; node++) {
      guest.ask(XS_WRITE, `${directory}/${node}\0v`, transactionId);
    }
    guest.takeEvents();
    const message = { type: XS_TRANSACTION_END, requestId: 1, transactionId, payload: "T\0" };
    store.handle(guest.domid, message);
    expect(store.list(`${HOME}/${directory}`)).toHaveLength(400);
    const events = guest.takeEvents();
    expect(new Set(events).size).toBe(events.length);
    expect(events.length).toBeGreaterThanOrEqual(1024);
    expect(events.length).toBeLessThan(1030);
  });

  it("indices that lie break the connection until the guest reconnects", () => {
    const { store, guest } = domain();
    expect(guest.page.readU32(XENSTORE_SERVER_FEATURES)).toBe(3);
    guest.ask(XS_WATCH, "memory\0t\0");
    const id = guest.ask(XS_TRANSACTION_START, "\0");
    guest.takeEvents();
    guest.page.writeU32(XENSTORE_REQ_PROD, 0xdead_beef);
    guest.ring.serve();
    expect(guest.page.readU32(XENSTORE_ERROR)).toBe(2);
    store.write(`${HOME}/memory/target`, "1");
    guest.page.writeU32(XENSTORE_CONNECTION, 1);
    guest.ring.serve();
    expect(guest.page.readU32(XENSTORE_CONNECTION)).toBe(0);
    expect(guest.page.readU32(XENSTORE_ERROR)).toBe(0);
    expect(guest.page.readU32(XENSTORE_RSP_PROD)).toBe(0);
    expect(guest.ask(XS_READ, "domid\0")).toBe("1");
    expect(guest.ask(XS_READ, "domid\0", parseInt(id, 10))).toBe("ENOENT");
    store.write(`${HOME}/memory/target`, "2");
    expect(guest.takeEvents()).toEqual([]);
  });

  it("a message longer than the protocol allows breaks the connection", () => {
    const { guest } = domain();
    const header = new Uint8Array(16);
    new DataView(header.buffer).setUint32(12, 4097, true);
    guest.send(header);
    expect(guest.page.readU32(XENSTORE_ERROR)).toBe(3);
  });
});

describe("the Host", () => {
  it("asks the guest to shut down or to change its size through watched keys", () => {
    const { store, guest } = domain();
    guest.ask(XS_WATCH, "control/shutdown\0s\0");
    guest.ask(XS_WATCH, "memory/target\0m\0");
    guest.takeEvents();
    requestShutdown(store, 1, "poweroff");
    store.write(`${HOME}/memory/target`, "32768");
    expect(guest.takeEvents()).toEqual(["control/shutdown s", "memory/target m"]);
    expect(guest.ask(XS_READ, "control/shutdown\0")).toBe("poweroff");
    expect(guest.ask(XS_WRITE, "control/shutdown\0")).toBe("OK\0");
    expect(store.read(`${HOME}/control/shutdown`)).toBe("");
  });

  it("is told of its own mistakes by an error, and of absence by undefined", () => {
    const { store } = domain();
    expect(store.read("/nowhere")).toBeUndefined();
    expect(store.list("/nowhere")).toBeUndefined();
    expect(store.list("/")).toEqual(["local"]);
    expect(store.permissions(`${HOME}/data`)).toEqual(ownedBy(1));
    expect(() => store.read("relative")).toThrow(ConfigError);
    expect(() => store.write("/a/", "")).toThrow(ConfigError);
    expect(() => store.write("/a", "x".repeat(4097))).toThrow(ConfigError);
    expect(() => store.write("/a", "\u{100}")).toThrow(ConfigError);
  });

  it("a restored store goes on in the middle of messages, transactions and watches", () => {
    const { store, guest } = domain();
    guest.ask(XS_WATCH, "data\0t\0");
    guest.takeEvents();
    const id = Number.parseInt(guest.ask(XS_TRANSACTION_START, "\0"), 10);
    guest.ask(XS_WRITE, "data/a\x001", id);
    const payload = `data/long\0${"v".repeat(1000)}`;
    const bytes = formatMessage({ type: XS_WRITE, requestId: 9, transactionId: id, payload });
    guest.send(bytes.subarray(0, 700));
    const saved = JSON.parse(JSON.stringify({ store: store.save(), ring: guest.ring.save() }));

    const copy = new Xenstore();
    const page = lonePage();
    page.write(0, guest.page.read(0, 4096));
    const twin = new StoreGuest(copy, 1, page);
    copy.restore(saved.store);
    twin.ring.restore(saved.ring);
    for (const each of [guest, twin]) {
      each.send(bytes.subarray(700));
      expect(each.takeEvents()).toEqual([]);
      each.exchange({ type: XS_TRANSACTION_END, requestId: 1, transactionId: id, payload: "T\0" });
      expect(each.takeEvents()).toEqual(["data/a t", "data/long t"]);
    }
    expect(copy.read(`${HOME}/data/long`)).toBe("v".repeat(1000));
    expect(copy.save()).toEqual(store.save());
    expect(() => copy.restore({ version: 99 })).toThrow(SnapshotError);
  });
});
