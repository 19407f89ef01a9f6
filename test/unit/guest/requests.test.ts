import { describe, expect, test } from "vitest";
import { HostInputs } from "../../../host-ts/base/inputs.ts";
import type { GuestControl } from "../../../host-ts/base/personality.ts";
import { GuestRequests } from "../../../host-ts/guest/requests.ts";

function build() {
  const inputs = new HostInputs();
  const requests = new GuestRequests("g", inputs);
  const state = { hasPendingRequest: false, isSuspended: false };
  const control: GuestControl = Object.assign(state, {
    cancelSuspend: () => {},
    image: () => new Uint8Array(0),
  });
  const clock = { nowNs: 0, jumpTo: () => {} };
  let visits = 0;
  /** The guest has a turn and sees what is posted. */
  const deliver = () => inputs.take(visits++, clock);
  return { requests, control, state, deliver };
}

/** Whether a promise is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol("open");
  return (await Promise.race([promise, Promise.resolve(open)])) !== open;
}

describe("what an embedder asks of a guest's kernel", () => {
  test("enters by the one door, and is over when the guest has taken it", async () => {
    const { requests, control, state, deliver } = build();
    const answer = requests.ask(control, "poweroff", "taken");
    requests.look(control);
    expect(await isSettled(answer)).toBe(false);
    const [input] = deliver();
    expect(input).toMatchObject({ kind: "request", device: "shutdown" });
    expect(String.fromCharCode(...input!.data)).toBe("poweroff");
    state.hasPendingRequest = true;
    requests.look(control);
    expect(await isSettled(answer)).toBe(false);
    state.hasPendingRequest = false;
    requests.look(control);
    await answer;
  });

  test("to suspend is over when the guest stands suspended", async () => {
    const { requests, control, state, deliver } = build();
    const answer = requests.ask(control, "suspend", "suspended");
    deliver();
    requests.look(control);
    expect(await isSettled(answer)).toBe(false);
    state.isSuspended = true;
    requests.look(control);
    await answer;
  });

  test("is taken back after the time the embedder set", async () => {
    const { requests, control, deliver } = build();
    await expect(requests.ask(control, "suspend", "taken", { timeoutMs: 5 })).rejects.toMatchObject(
      {
        code: "HV_IGNORED",
        message: 'guest "g" did not take the request "suspend" within 5 ms; it was taken back',
      },
    );
    expect(deliver().map(({ data }) => String.fromCharCode(...data))).toEqual(["suspend", ""]);
  });

  test("is over with the guest, as a mistake only when it was to be suspended", async () => {
    const { requests, control } = build();
    const off = requests.ask(control, "poweroff", "taken");
    const suspended = requests.ask(control, "suspend", "suspended");
    requests.end();
    await off;
    await expect(suspended).rejects.toMatchObject({ code: "HV_STATE" });
  });

  test("is refused by type: no such request, a strange time, more than one key, a guest that nobody can ask", () => {
    const { requests, control } = build();
    const code = (act: () => unknown) => {
      try {
        act();
      } catch (error) {
        return (error as { code: string }).code;
      }
      return undefined;
    };
    expect(code(() => requests.ask(control, "explode" as "halt", "taken"))).toBe("HV_CONFIG");
    const options = { timeoutMs: -1 };
    expect(code(() => requests.ask(control, "halt", "taken", options))).toBe("HV_CONFIG");
    expect(code(() => requests.sysrq(control, "ab"))).toBe("HV_CONFIG");
    expect(code(() => requests.ask(undefined, "halt", "taken"))).toBe("HV_UNSUPPORTED");
    expect(code(() => requests.sysrq(undefined, "s"))).toBe("HV_UNSUPPORTED");
    expect(code(() => requests.debugEvent(undefined))).toBe("HV_UNSUPPORTED");
  });
});
