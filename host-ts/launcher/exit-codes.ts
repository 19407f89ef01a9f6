/** What the process's exit code says. Documented in `wasmvisor --help` and README.md. */
import type { GuestEnd } from "../guest/api.ts";

/** The guest powered itself off. */
export const EXIT_POWER_OFF = 0;
/** This side failed: an unreadable file, an image that is no kernel, no memory. */
export const EXIT_HOST_ERROR = 1;
/** The command line makes no sense. */
export const EXIT_USAGE = 2;
/** The guest's kernel panicked. */
export const EXIT_PANIC = 3;
/** The Host killed the guest because it broke a rule. */
export const EXIT_KILLED = 4;
/** The guest asked to be restarted and --reboot was not given. */
export const EXIT_RESTART = 5;
/** The person at the terminal left with Ctrl-A X. */
export const EXIT_LEFT = 6;
/** The guest halted with no timer, and its input has ended: nothing could ever wake it. */
export const EXIT_DEADLOCKED = 7;

/** The guest was suspended and written to a file (--save). */
export const EXIT_SAVED = 8;

/** Signals that end the run. */
export type EndingSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** Ends whose code is ours to choose; a guest that exits brings its own. */
type EndKind = Exclude<GuestEnd["kind"], "exit">;

const CODE_OF_END: Readonly<Record<EndKind, number>> = {
  "power-off": EXIT_POWER_OFF,
  restart: EXIT_RESTART,
  panic: EXIT_PANIC,
  killed: EXIT_KILLED,
  deadlocked: EXIT_DEADLOCKED,
  shutdown: EXIT_LEFT,
  aborted: EXIT_LEFT,
};

/** Exit code for the way a guest ended. */
export function exitCodeOfEnd(kind: EndKind): number {
  return CODE_OF_END[kind];
}

/** Exit code of a process ended by a signal, by the shell's convention. */
export function exitCodeOfSignal(signal: EndingSignal): number {
  return 128 + { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal];
}

/** The list of exit codes for the help text. */
export const EXIT_CODE_HELP: readonly [number | string, string][] = [
  [EXIT_POWER_OFF, "the guest powered off"],
  [EXIT_HOST_ERROR, "host error: a file cannot be read, the image is no kernel, ..."],
  [EXIT_USAGE, "bad usage"],
  [EXIT_PANIC, "the guest's kernel panicked"],
  [EXIT_KILLED, "the guest was killed for breaking a rule (see the crash report)"],
  [EXIT_RESTART, "the guest asked for a restart and --reboot was not given"],
  [EXIT_LEFT, "left with Ctrl-A X"],
  [EXIT_DEADLOCKED, "the guest halted and nothing is left that could wake it"],
  [EXIT_SAVED, "the guest was suspended and saved (--save)"],
  ["n", "with --abi bare: what the guest wrote to the debug-exit port, (value << 1) | 1"],
  ["128+n", "ended by signal n (130 SIGINT, 143 SIGTERM)"],
];
