/**
 * The hypercall table: one row per call. Rows marked "core" are performed inside Wasm, with the asynchronous ring, and are
 * here for their names; the Host performs the others. A handler returns for every argument a guest can pass.
 */

import {
  LGUEST_POWER_DOWN,
  LGUEST_SHUTDOWN_RESTART,
  LGUEST_SHUTDOWN_TEXT_BYTES,
  LHCALL_COUNT,
  LHCALL_FLUSH_ASYNC,
  LHCALL_FLUSH_TLB,
  LHCALL_HALT,
  LHCALL_LGUEST_INIT,
  LHCALL_LOAD_GDT_ENTRY,
  LHCALL_LOAD_IDT_ENTRY,
  LHCALL_LOAD_TLS,
  LHCALL_NEW_PGTABLE,
  LHCALL_NOTIFY,
  LHCALL_SEND_INTERRUPTS,
  LHCALL_SET_CLOCKEVENT,
  LHCALL_SET_PGD,
  LHCALL_SET_PMD,
  LHCALL_SET_PTE,
  LHCALL_SET_STACK,
  LHCALL_SHUTDOWN,
  LHCALL_TS,
} from "../../abi/lguest.ts";
import { VCPU_HALTED, VCPU_LG_DATA } from "../../abi/vcpu.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { DEATHS } from "./kill-reasons.ts";

/** What the handlers reach besides the Host. */
export interface CallContext {
  readonly host: PersonalityHost;
  /** LGUEST_INIT: the handshake over struct lguest_data. */
  initialise(dataGpa: number): void;
  /** Remembers a NOTIFY for after the calls. */
  requestNotify(gpa: number): void;
  /** Whether the guest's device variety has NOTIFY. */
  readonly hasNotify: boolean;
}

type Handler = (context: CallContext, arg1: number, arg2: number) => void;

type Args = [number, number, number, number];

interface Row {
  readonly name: string;
  readonly by: "core" | Handler;
}

const CLOCK_EVENT = "clock event";

/** By call number; unused numbers are absent. */
export const HYPERCALLS: Readonly<Record<number, Row>> = {
  [LHCALL_FLUSH_ASYNC]: { name: "FLUSH_ASYNC", by: "core" },
  [LHCALL_LGUEST_INIT]: { name: "LGUEST_INIT", by: initialise },
  [LHCALL_SHUTDOWN]: { name: "SHUTDOWN", by: shutdown },
  [LHCALL_NEW_PGTABLE]: { name: "NEW_PGTABLE", by: "core" },
  [LHCALL_FLUSH_TLB]: { name: "FLUSH_TLB", by: "core" },
  [LHCALL_LOAD_IDT_ENTRY]: { name: "LOAD_IDT_ENTRY", by: "core" },
  [LHCALL_SET_STACK]: { name: "SET_STACK", by: "core" },
  [LHCALL_TS]: { name: "TS", by: "core" },
  [LHCALL_SET_CLOCKEVENT]: { name: "SET_CLOCKEVENT", by: setClockEvent },
  [LHCALL_HALT]: { name: "HALT", by: halt },
  [LHCALL_SET_PMD]: { name: "SET_PMD", by: "core" },
  [LHCALL_SET_PTE]: { name: "SET_PTE", by: "core" },
  [LHCALL_SET_PGD]: { name: "SET_PGD", by: "core" },
  [LHCALL_LOAD_TLS]: { name: "LOAD_TLS", by: "core" },
  [LHCALL_NOTIFY]: { name: "NOTIFY", by: notify },
  [LHCALL_LOAD_GDT_ENTRY]: { name: "LOAD_GDT_ENTRY", by: "core" },
  // Having trapped is all it is for: the run loop delivers interrupts next.
  [LHCALL_SEND_INTERRUPTS]: { name: "SEND_INTERRUPTS", by: () => {} },
};

/** Names by number, for statistics. */
export const CALL_NAMES: readonly (string | undefined)[] = Array.from(
  { length: LHCALL_COUNT },
  (_, number) => HYPERCALLS[number]?.name,
);

/** The timer of SET_CLOCKEVENT. */
export const CLOCK_EVENT_TIMER = CLOCK_EVENT;

/** Performs the call in the exit record: number, then the arguments. */
export function performHypercall(context: CallContext): void {
  const { host } = context;
  const number = host.vcpu.exitArg(0);
  const isInitialised = host.vcpu.u32(VCPU_LG_DATA) !== 0;
  if (!isInitialised && number !== LHCALL_LGUEST_INIT) {
    host.kill(DEATHS.beforeInit(number));
    return;
  }
  const row = HYPERCALLS[number];
  if (row === undefined) {
    host.kill(DEATHS.badHypercall(number));
    return;
  }
  const { vcpu } = host;
  if (row.by === "core") {
    // The classic path: the call came out here only to be performed by the core's verb.
    const [arg1, arg2, arg3, arg4] = [1, 2, 3, 4].map((index) => vcpu.exitArg(index)) as Args;
    if (host.core.exports.performCall(vcpu.ptr, number, arg1, arg2, arg3, arg4) === 0) {
      host.killFromCore();
    }
    return;
  }
  host.countHypercall(row.name);
  row.by(context, vcpu.exitArg(1), vcpu.exitArg(2));
}

function initialise(context: CallContext, dataGpa: number): void {
  if (context.host.vcpu.u32(VCPU_LG_DATA) !== 0) context.host.kill(DEATHS.secondInit());
  else context.initialise(dataGpa);
}

/**
 * A panic and a power off are the same call: only their words tell them apart. A restart may come without words: Linux then
 * passes the "physical" address of NULL, which is nowhere.
 */
function shutdown({ host }: CallContext, textGpa: number, reason: number): void {
  const isRestart = reason === LGUEST_SHUTDOWN_RESTART;
  const hasText = !isRestart || host.memory.isRange(textGpa, 1);
  const text = hasText ? host.memory.readCString(textGpa, LGUEST_SHUTDOWN_TEXT_BYTES) : "";
  if (host.isDead) return;
  if (isRestart) host.end("restart", text);
  else host.end(text === LGUEST_POWER_DOWN ? "power-off" : "panic", DEATHS.crash(text));
}

function setClockEvent({ host }: CallContext, deltaNs: number): void {
  if (deltaNs === 0) host.timers.cancel(CLOCK_EVENT);
  else host.timers.set(CLOCK_EVENT, host.clock.nowNs + deltaNs);
}

function halt({ host }: CallContext): void {
  host.vcpu.setU32(VCPU_HALTED, 1);
}

function notify(context: CallContext, gpa: number): void {
  if (context.hasNotify) context.requestNotify(gpa);
  else context.host.kill(DEATHS.badHypercall(LHCALL_NOTIFY));
}
