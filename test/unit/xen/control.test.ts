import { describe, expect, test } from "vitest";
import type { ShutdownRequest } from "../../../host-ts/base/personality.ts";
import { DomainControl } from "../../../host-ts/xen/control.ts";
import { Xenstore } from "../../../host-ts/xen/xenstore/xenstore.ts";

const KEY = "/local/domain/1/control/shutdown";

function build(onSuspend: "cancel" | "stand" = "cancel") {
  const store = new Xenstore();
  const answers: number[] = [];
  const control = new DomainControl({
    store,
    domid: 1,
    raiseDebug: () => answers.push(-1),
    goOn: (answer) => answers.push(answer),
    image: () => new Uint8Array(0),
    onSuspend,
  });
  const ask = (text: ShutdownRequest | "", device = "shutdown") =>
    control.receive({
      kind: "request",
      device,
      data: Array.from(text, (each) => each.charCodeAt(0)),
    });
  return { store, control, answers, ask };
}

describe("requests to a domain's kernel", () => {
  test("stand in control/shutdown until the kernel empties the key", () => {
    const { store, control, ask } = build();
    expect(control.hasPendingRequest).toBe(false);
    ask("reboot");
    expect([store.read(KEY), control.hasPendingRequest]).toEqual(["reboot", true]);
    store.write(KEY, "");
    expect(control.hasPendingRequest).toBe(false);
  });

  test("are taken back by an empty one; a kernel that has begun is not disturbed", () => {
    const { store, ask } = build();
    const seen: string[] = [];
    ask("poweroff");
    store.watch(KEY, () => seen.push(store.read(KEY)!));
    ask("");
    ask("");
    expect(seen).toEqual(["poweroff", ""]);
  });

  test("of the debug kind raise VIRQ_DEBUG, and say nothing in the store", () => {
    const { answers, ask } = build();
    ask("", "debug");
    expect(answers).toEqual([-1]);
  });

  test("of the system-request kind go to control/sysrq", () => {
    const { store, control } = build();
    control.receive({ kind: "request", device: "sysrq", data: [0x73] });
    expect(store.read("/local/domain/1/control/sysrq")).toBe("s");
    expect(control.hasPendingRequest).toBe(false);
  });
});

describe("a domain that suspends itself", () => {
  test("stands still when it was asked to, and goes on with the answer 1 when that is cancelled", () => {
    const { control, answers, ask } = build();
    ask("suspend");
    expect(control.suspend()).toBeUndefined();
    expect([control.isSuspended, answers]).toEqual([true, []]);
    control.cancelSuspend();
    control.cancelSuspend();
    expect([control.isSuspended, answers]).toEqual([false, [1]]);
  });

  test("is answered 1 at once when nobody asked, when another request came last, or when it was taken back", () => {
    const { control, ask } = build();
    expect(control.suspend()).toBe(1);
    ask("suspend");
    ask("poweroff");
    expect(control.suspend()).toBe(1);
    ask("suspend");
    ask("");
    expect([control.suspend(), control.isSuspended]).toEqual([1, false]);
  });

  test("unasked stands still, too, where somebody waits for that, each time", () => {
    const { control, answers } = build("stand");
    for (let round = 1; round <= 2; round++) {
      expect(control.suspend()).toBeUndefined();
      expect(control.isSuspended).toBe(true);
      control.cancelSuspend();
      expect(answers).toEqual(Array(round).fill(1));
    }
  });

  test("does so once for each request", () => {
    const { control, ask } = build();
    ask("suspend");
    control.suspend();
    control.cancelSuspend();
    expect(control.suspend()).toBe(1);
  });

  test("is suspended still after a save and restore", () => {
    const { control, ask } = build();
    ask("suspend");
    control.suspend();
    const other = build();
    other.control.restore(control.save());
    expect(other.control.isSuspended).toBe(true);
    other.control.cancelSuspend();
    expect(other.answers).toEqual([1]);
  });
});
