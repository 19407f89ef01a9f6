/**
 * The hypercall table: one handler per call. The Host performs some calls on either fault path, and all of them on the classic
 * one. A handler returns for every argument a guest can pass.
 */

import {
  LGUEST_POWER_DOWN,
  LGUEST_SHUTDOWN_RESTART,
  LGUEST_SHUTDOWN_TEXT_BYTES,
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
import { loadGdtEntry, loadIdtEntry, loadTls } from "./descriptor-calls.ts";
import { DEATHS } from "./kill-reasons.ts";
import {
  flushTlb,
  newPageTable,
  setPgd,
  setPmd,
  setPte,
  setStack,
  setTaskSwitched,
} from "./table-calls.ts";

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

type Handler = (
  context: CallContext,
  arg1: number,
  arg2: number,
  arg3: number,
  arg4: number,
) => void;

/** By call number; unused numbers are absent. Where each is performed on which fault path is in trap-policy.ts. */
export const HANDLERS: Readonly<Record<number, Handler>> = {
  // Having trapped is all that these two are for: the ring is drained by then, and the run loop delivers interrupts next.
  [LHCALL_FLUSH_ASYNC]: () => {},
  [LHCALL_SEND_INTERRUPTS]: () => {},
  [LHCALL_LGUEST_INIT]: initialise,
  [LHCALL_SHUTDOWN]: shutdown,
  [LHCALL_NEW_PGTABLE]: ({ host }, top) => newPageTable(host, top),
  [LHCALL_FLUSH_TLB]: ({ host }, all) => flushTlb(host, all),
  [LHCALL_LOAD_IDT_ENTRY]: ({ host }, vector, low, high) => loadIdtEntry(host, vector, low, high),
  [LHCALL_SET_STACK]: ({ host }, ss, esp, pages) => setStack(host, ss, esp, pages),
  [LHCALL_TS]: ({ host }, isSet) => setTaskSwitched(host, isSet),
  [LHCALL_SET_CLOCKEVENT]: setClockEvent,
  [LHCALL_HALT]: halt,
  [LHCALL_SET_PMD]: ({ host }, table, index) => setPmd(host, table, index),
  [LHCALL_SET_PTE]: ({ host }, top, lin, pte, high) => setPte(host, top, lin, pte, high),
  [LHCALL_SET_PGD]: ({ host }, top, index) => setPgd(host, top, index),
  [LHCALL_LOAD_TLS]: ({ host }, gpa) => loadTls(host, gpa),
  [LHCALL_NOTIFY]: notify,
  [LHCALL_LOAD_GDT_ENTRY]: ({ host }, index, low, high) => loadGdtEntry(host, index, low, high),
};

/** The timer of SET_CLOCKEVENT. */
export const CLOCK_EVENT_TIMER = "clock event";

/** Performs the call in the exit record: number, then the arguments. */
export function performHypercall(context: CallContext): void {
  const { host } = context;
  const { vcpu } = host;
  const number = vcpu.exitArg(0);
  if (vcpu.u32(VCPU_LG_DATA) === 0 && number !== LHCALL_LGUEST_INIT) {
    host.kill(DEATHS.beforeInit(number));
    return;
  }
  performCall(context, number, vcpu.exitArg(1), vcpu.exitArg(2), vcpu.exitArg(3), vcpu.exitArg(4));
}

/** Performs one call, synchronous or from the ring. */
export function performCall(
  context: CallContext,
  number: number,
  arg1: number,
  arg2: number,
  arg3: number,
  arg4: number,
): void {
  const handler = HANDLERS[number];
  if (handler === undefined) {
    context.host.kill(DEATHS.badHypercall(number));
    return;
  }
  context.host.countHypercall(number);
  handler(context, arg1, arg2, arg3, arg4);
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
  if (deltaNs === 0) host.timers.cancel(CLOCK_EVENT_TIMER);
  else host.timers.set(CLOCK_EVENT_TIMER, host.clock.nowNs + deltaNs);
}

function halt({ host }: CallContext): void {
  host.vcpu.setU32(VCPU_HALTED, 1);
}

function notify(context: CallContext, gpa: number): void {
  if (context.hasNotify) context.requestNotify(gpa);
  else context.host.kill(DEATHS.badHypercall(LHCALL_NOTIFY));
}
