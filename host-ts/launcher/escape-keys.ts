/** The keys that belong to the launcher: Ctrl-A and one more, as in QEMU. Knows bytes only, no terminal. */

const CTRL_A = 0x01;

/** What a Ctrl-A command asks for. */
export type EscapeCommand = "leave" | "help" | "stats" | "store" | "nmi" | "power-off" | "suspend";

const COMMANDS: Record<string, EscapeCommand> = {
  x: "leave",
  h: "help",
  "?": "help",
  s: "stats",
  t: "store",
  n: "nmi",
  p: "power-off",
  z: "suspend",
};

/** What Ctrl-A H prints. */
export const ESCAPE_HELP = [
  "Ctrl-A X       leave",
  "Ctrl-A S       show statistics",
  "Ctrl-A T       show the xenstore of a Xen guest",
  "Ctrl-A P       ask a Xen guest to power off",
  "Ctrl-A Z       ask a Xen guest to suspend itself, and again: let it go on",
  "Ctrl-A N       send the guest a non-maskable interrupt",
  "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
  "Ctrl-A H       this help",
];

/** Splits what is typed into input for the guest and commands for the launcher. Keeps a Ctrl-A across calls. */
export class EscapeKeys {
  #isArmed = false;

  /** @returns the bytes for the guest and the commands met, both in order. Unknown commands are dropped. */
  filter(typed: Uint8Array): { input: Uint8Array; commands: EscapeCommand[] } {
    const input: number[] = [];
    const commands: EscapeCommand[] = [];
    for (const byte of typed) {
      if (!this.#isArmed) {
        if (byte === CTRL_A) this.#isArmed = true;
        else input.push(byte);
        continue;
      }
      this.#isArmed = false;
      if (byte === CTRL_A) input.push(byte);
      const command = COMMANDS[String.fromCharCode(byte).toLowerCase()];
      if (command !== undefined) commands.push(command);
    }
    return { input: Uint8Array.from(input), commands };
  }
}
