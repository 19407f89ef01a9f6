/** The verbs `run`, `demo` and `profile`: one guest from boot to end, joined to this process's terminal, files and signals. */
import { basename } from "node:path";
import { BackendError } from "../base/errors.ts";
import { isElf, parseElf } from "../boot/elf.ts";
import { parseKernelImage } from "../boot/image.ts";
import { unpackKernel } from "../boot/payload.ts";
import { type CrashAids, renderCrashReport } from "../debug/crash-report.ts";
import { loadDisassembler } from "../debug/disasm.ts";
import { renderStats } from "../debug/stats-report.ts";
import { parseSystemMap, SymbolTable } from "../debug/symbols.ts";
import { createGuest, type Guest, type GuestEnd } from "../index.ts";
import { ESCAPE_HELP, type EscapeCommand } from "./escape-keys.ts";
import {
  type EndingSignal,
  EXIT_POWER_OFF,
  exitCodeOfEnd,
  exitCodeOfSignal,
} from "./exit-codes.ts";
import { embeddedGuest, readWhole } from "./files.ts";
import { reportProfile } from "./profile.ts";
import { Terminal } from "./terminal.ts";
import type { RunCommand } from "./usage.ts";
import { listStore, renderStore } from "./xenstore.ts";
import { withConfigFile } from "./xl-command.ts";

const ENDING_SIGNALS: readonly EndingSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * Runs a guest to its end.
 * @returns the process's exit code
 * @throws HypervisorError when the guest cannot be made
 */
export async function runVerb(given: RunCommand): Promise<number> {
  const command = await withConfigFile(given, say);
  const { store } = command;
  // A listing is the product then, and what the guest prints is beside it.
  const terminal = new Terminal(
    process.stdin,
    store === undefined ? process.stdout : process.stderr,
  );
  const file = await readWhole("kernel", command.kernelFile ?? embeddedGuest());
  const kernel = command.options.abi === "xen-pv" ? await unpackKernel(file) : file;
  const initrd =
    command.initrdFile === undefined ? undefined : await readWhole("initrd", command.initrdFile);
  const { symbolsFile } = command;
  const systemMap = symbolsFile === undefined ? undefined : await readSystemMap(symbolsFile);
  const modules = await Promise.all(command.moduleFiles.map((file) => readWhole("module", file)));
  const moduleNames = [command.initrdFile ?? [], command.moduleFiles]
    .flat()
    .map((file) => basename(file));
  const userFile = command.profile?.userFile;
  const user = userFile === undefined ? undefined : await readProgram(userFile);
  const guest = await createGuest({
    ...command.options,
    kernel,
    initrd,
    bare: { ...command.options.bare, modules, moduleNames },
    terminal: terminal.size,
    commandLine:
      command.options.commandLine ??
      (terminal.isInteractive ? undefined : command.commandsWithoutTerminal),
    // A person at a keyboard lives in real time; everybody else wants the same run twice.
    time: command.options.time ?? (terminal.isInteractive ? "real" : "virtual"),
  });
  const session = new Session(guest, terminal);
  const listing = store && listStore(guest, store);
  // It fails where the run does, which tells of it.
  listing?.catch(() => {});
  const end = await session.run();
  if (listing !== undefined) process.stdout.write(await listing);
  if (end.crash !== undefined) {
    const aids = await crashAids(systemMap ?? symbolsOf(kernel));
    say(renderCrashReport(TITLES[end.kind], end.crash, aids));
  } else if (!["power-off", "shutdown", "exit"].includes(end.kind)) {
    say([TITLES[end.kind], end.reason].filter(Boolean).join(": "));
  }
  if (command.showStats) say(renderStats(end.stats));
  if (command.profile !== undefined && end.profile !== undefined) {
    const kernelSymbols = systemMap ?? symbolsOf(kernel);
    const title = command.kernelFile ?? "the embedded guest";
    say(await reportProfile(end.profile, kernelSymbols, user, command.profile, title));
  }
  if (session.signal !== undefined) return exitCodeOfSignal(session.signal);
  // The listing is what was asked for, whatever became of the guest.
  if (store !== undefined) return EXIT_POWER_OFF;
  return end.kind === "exit" ? (end.exitCode ?? 0) : exitCodeOfEnd(end.kind);
}

const TITLES: Readonly<Record<GuestEnd["kind"], string>> = {
  "power-off": "guest powered off",
  exit: "guest exited",
  restart: "guest asked for a restart (--reboot boots it again)",
  panic: "guest panicked",
  killed: "guest killed",
  deadlocked: "guest stuck",
  shutdown: "guest shut down",
  aborted: "guest aborted",
};

/* Launcher 020: the launcher uses the embedding API and nothing else.
 *
 * What is typed goes into the console's writable stream, what the guest prints comes out of the readable one, the window's size
 * is a call, a signal is a shutdown. So whatever this program can do, a service that embeds a guest can do too.
 */

/** A guest and a terminal, joined from boot to end. */
class Session {
  /** The signal that ended the run, if one did. */
  signal: EndingSignal | undefined;
  readonly #guest: Guest;
  readonly #terminal: Terminal;

  constructor(guest: Guest, terminal: Terminal) {
    this.#guest = guest;
    this.#terminal = terminal;
  }

  async run(): Promise<GuestEnd> {
    const guest = this.#guest;
    const handlers = ENDING_SIGNALS.map((signal) => [signal, () => this.#stop(signal)] as const);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    guest.on("reboot", (count) => say(`guest restarts (${count})`));
    const keyboard = guest.console.writable.getWriter();
    // Input that arrives when the guest is gone already has nowhere to go.
    const ignore = (): void => undefined;
    this.#terminal.open({
      input: (bytes) => keyboard.write(bytes).catch(ignore),
      inputEnded: () => void keyboard.close().catch(ignore),
      command: (key) => void this.#obey(key),
      resized: ({ columns, rows }) => void guest.resize(columns, rows).catch(ignore),
      outputClosed: () => void guest.shutdown(),
    });
    if (this.#terminal.isInteractive) say("Ctrl-A X leaves, Ctrl-A H is help");
    try {
      const printed = this.#print();
      const end = await guest.run();
      await printed;
      return end;
    } finally {
      this.#terminal.close();
      for (const [signal, handler] of handlers) process.off(signal, handler);
      await guest[Symbol.asyncDispose]();
    }
  }

  async #print(): Promise<void> {
    for await (const bytes of this.#guest.console.readable) await this.#terminal.write(bytes);
  }

  /** Of a guest of another kind there is a sentence instead. */
  async #store(): Promise<string> {
    try {
      const style = { hasFullPaths: false, hasPermissions: true };
      return renderStore(await this.#guest.xenstore.ls(), style);
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** The first signal ends tidily, the second one at once. */
  #stop(signal: EndingSignal): void {
    if (this.signal !== undefined) {
      this.#terminal.close();
      process.exit(exitCodeOfSignal(signal));
    }
    this.signal = signal;
    void this.#guest.shutdown();
  }

  async #obey(command: EscapeCommand): Promise<void> {
    if (command === "leave") await this.#guest.shutdown();
    else if (command === "help") say(ESCAPE_HELP.join("\n"));
    else if (command === "nmi") await this.#guest.nmi();
    else if (command === "store") say(await this.#store());
    else say(renderStats(await this.#guest.stats()));
  }
}

/** Names and disassembly for a crash report; either may be missing, the report is then only poorer. */
async function crashAids(symbols: SymbolTable): Promise<CrashAids> {
  const disassembler = await loadDisassembler().catch(() => undefined);
  return { symbols, disassembler };
}

/** @throws BackendError for a file that cannot be read or has not one symbol */
async function readSystemMap(file: string): Promise<SymbolTable> {
  const text = new TextDecoder("latin1").decode(await readWhole("symbols", file));
  const table = parseSystemMap(text);
  if (table.isEmpty) throw new BackendError(`cannot use the symbols ${file}: it is no System.map`);
  return table;
}

/**
 * The symbols of a program for ring 3.
 * @throws BackendError for a file that is no ELF or has no symbols @throws ImageError for an ELF of another kind
 */
async function readProgram(file: string): Promise<SymbolTable> {
  const image = await readWhole("program", file);
  if (!isElf(image)) throw new BackendError(`cannot use the program ${file}: it is no ELF`);
  const table = new SymbolTable(parseElf(image).symbols());
  if (table.isEmpty) throw new BackendError(`cannot use the program ${file}: it has no symbols`);
  return table;
}

/** A kernel for a plain machine may be no image that the others know: it then has no symbols. */
function symbolsOf(kernel: Uint8Array): SymbolTable {
  try {
    return new SymbolTable(parseKernelImage(kernel).symbols());
  } catch {
    return new SymbolTable([]);
  }
}

/** Prints beside the guest's own output. Raw mode as Node sets it still turns a newline into a new line. */
function say(text: string): void {
  process.stderr.write(`\n${text}\n`);
}
