/** The verbs `run`, `restore`, `demo` and `profile`: one guest from boot to end, joined to this process's terminal, files and signals. */
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
  EXIT_SAVED,
  exitCodeOfEnd,
  exitCodeOfSignal,
} from "./exit-codes.ts";
import { checkWritable, embeddedGuest, readWhole } from "./files.ts";
import { reportProfile } from "./profile.ts";
import { PATIENCE_MS, saveSuspended } from "./save.ts";
import { Terminal } from "./terminal.ts";
import type { RunCommand } from "./usage.ts";
import { listStore, renderStore } from "./xenstore.ts";
import { withConfigFile } from "./xl-command.ts";

/** How long a guest that was asked to power off by a signal has, in milliseconds. */
const GRACE_MS = 10_000;
/** Saves the guest, where it has a file to be saved to. */
const SAVE_SIGNAL = "SIGUSR2";
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
  const kernel = await readKernel(command);
  const { restoreFile, saveFile } = command;
  const restore =
    restoreFile === undefined ? undefined : await readWhole("saved guest", restoreFile);
  if (saveFile !== undefined) await checkWritable(saveFile);
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
    restore,
    initrd,
    bare: { ...command.options.bare, modules, moduleNames },
    // Somebody is there to let it go on, or it is written to its file.
    xen: {
      ...command.options.xen,
      onSuspend: terminal.isInteractive || saveFile !== undefined ? "stand" : "cancel",
    },
    terminal: terminal.size,
    commandLine:
      command.options.commandLine ??
      (terminal.isInteractive ? undefined : command.commandsWithoutTerminal),
    // A person at a keyboard lives in real time; everybody else wants the same run twice.
    time: command.options.time ?? (terminal.isInteractive ? "real" : "virtual"),
  });
  const session = new Session(guest, terminal, command);
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
  if (session.isSaved) return EXIT_SAVED;
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
  /** Whether the guest was suspended and written to its file. */
  isSaved = false;
  readonly #guest: Guest;
  readonly #terminal: Terminal;
  readonly #command: RunCommand;
  /** While a guest that was asked to power off may still do it. */
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(guest: Guest, terminal: Terminal, command: RunCommand) {
    this.#guest = guest;
    this.#terminal = terminal;
    this.#command = command;
  }

  async run(): Promise<GuestEnd> {
    const guest = this.#guest;
    const handlers = ENDING_SIGNALS.map((signal) => [signal, () => this.#stop(signal)] as const);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    const onSaveSignal = () => void this.#ask(() => this.#suspend());
    if (this.#command.saveFile !== undefined) process.on(SAVE_SIGNAL, onSaveSignal);
    guest.on("reboot", (count) => say(`guest restarts (${count})`));
    guest.on("state", (state) => state === "suspended" && void this.#stand());
    const keyboard = guest.console.writable.getWriter();
    // Input that arrives when the guest is gone already has nowhere to go.
    const ignore = (): void => undefined;
    this.#terminal.open({
      input: (bytes) => keyboard.write(bytes).catch(ignore),
      inputEnded: () => void keyboard.close().catch(ignore),
      command: (key) => void this.#ask(() => this.#obey(key)),
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
      clearTimeout(this.#grace);
      for (const [signal, handler] of handlers) process.off(signal, handler);
      process.off(SAVE_SIGNAL, onSaveSignal);
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

  /**
   * The first signal ends tidily, the second one at once. A Xen guest may first power off by itself when the signal is the one by which
   * services are stopped; the next signal ends it tidily then.
   */
  #stop(signal: EndingSignal): void {
    const wasAsked = this.#grace !== undefined;
    clearTimeout(this.#grace);
    this.#grace = undefined;
    if (this.signal !== undefined && !wasAsked) {
      this.#terminal.close();
      process.exit(exitCodeOfSignal(signal));
    }
    const guest = this.#guest;
    const isAsked = signal === "SIGTERM" && this.#command.options.abi === "xen-pv" && !wasAsked;
    this.signal = signal;
    if (!isAsked) {
      void guest.shutdown();
      return;
    }
    this.#grace = setTimeout(() => void guest.shutdown(), GRACE_MS);
    guest.requestShutdown("poweroff").catch(() => void guest.shutdown());
  }

  /** The guest suspended itself. */
  async #stand(): Promise<void> {
    const { saveFile } = this.#command;
    if (saveFile === undefined) say("guest suspended; Ctrl-A Z lets it go on");
    else this.isSaved = await saveSuspended(this.#guest, saveFile, say);
  }

  async #suspend(): Promise<void> {
    if (this.#guest.state === "suspended") await this.#guest.resume();
    else await this.#guest.suspend({ timeoutMs: PATIENCE_MS });
  }

  /** What a person asks for may be something that this guest cannot do. */
  async #ask(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      say((error as Error).message);
    }
  }

  async #obey(command: EscapeCommand): Promise<void> {
    if (command === "leave") await this.#guest.shutdown();
    else if (command === "help") say(ESCAPE_HELP.join("\n"));
    else if (command === "nmi") await this.#guest.nmi();
    else if (command === "suspend") await this.#suspend();
    else if (command === "power-off")
      await this.#guest.requestShutdown("poweroff", { timeoutMs: PATIENCE_MS });
    else if (command === "store") say(await this.#store());
    else say(renderStats(await this.#guest.stats()));
  }
}

/** Undefined for a restored guest that is not to restart. */
async function readKernel(command: RunCommand): Promise<Uint8Array | undefined> {
  const { kernelFile, restoreFile, options } = command;
  if (kernelFile === undefined && restoreFile !== undefined) return undefined;
  const file = await readWhole("kernel", kernelFile ?? embeddedGuest());
  return options.abi === "xen-pv" ? await unpackKernel(file) : file;
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
function symbolsOf(kernel: Uint8Array | undefined): SymbolTable {
  if (kernel === undefined) return new SymbolTable([]);
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
