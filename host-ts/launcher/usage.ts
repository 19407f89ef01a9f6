/** The command line: its grammar, its help text, and the sentences for what is wrong with it. */
import { parseArgs } from "node:util";
import { PEER_ADDRESS } from "../backends/net-peer.ts";
import { FAULT_PATHS } from "../base/fault-path.ts";
import { LIMITS } from "../guest/config.ts";
import {
  ABIS,
  type BlockOptions,
  CPU_NAMES,
  type GuestOptions,
  type NetOptions,
} from "../guest/options.ts";
import { type BenchCommand, parseBench } from "./bench-usage.ts";
import { EXIT_CODE_HELP } from "./exit-codes.ts";
import type { ProfileOutputs } from "./profile.ts";
import { TRACED_ABIS, type TracedAbi } from "./trace.ts";
import { UsageError } from "./usage-error.ts";

/** What `xenstore ls` shows, and when. */
export interface StoreListing {
  readonly path: string;
  /** Whole paths on each line instead of names that are indented. */
  readonly hasFullPaths: boolean;
  readonly hasPermissions: boolean;
  /** Milliseconds after which it is shown and the guest ended; undefined: when the guest has ended by itself. */
  readonly afterMs: number | undefined;
}

/** A parsed `run`, `restore`, `demo`, `profile` or `xenstore` command: the guest's options but for the files' contents, and what the launcher itself does. */
export interface RunCommand {
  readonly verb: "run" | "demo" | "profile" | "xenstore" | "restore";
  /** A configuration file of xl's, whose settings count where the command line says nothing else. */
  readonly configFile: string | undefined;
  /** Path of the kernel image; undefined for the embedded guest, and for a restored one that is not to restart. */
  readonly kernelFile: string | undefined;
  /** Path of the saved guest to go on with. */
  readonly restoreFile: string | undefined;
  /** Where the guest is written when it is suspended. */
  readonly saveFile: string | undefined;
  readonly initrdFile: string | undefined;
  readonly moduleFiles: readonly string[];
  readonly symbolsFile: string | undefined;
  readonly options: Omit<GuestOptions, "kernel" | "initrd" | "restore">;
  readonly showStats: boolean;
  readonly showTraces: boolean;
  /** What becomes of the samples; undefined for the other verbs. */
  readonly profile: ProfileOutputs | undefined;
  /** With the verb xenstore. */
  readonly store: StoreListing | undefined;
  /** What the embedded guest runs by itself when there is no terminal to type at. */
  readonly commandsWithoutTerminal: string | undefined;
}

/** Any command line that made sense. */
export type Command =
  | RunCommand
  | BenchCommand
  | { readonly verb: "help" }
  | { readonly verb: "version" }
  /** What goes which way on the two fault paths. */
  | { readonly verb: "trace"; readonly abi: TracedAbi };

const OPTIONS = {
  abi: { type: "string" },
  cpu: { type: "string" },
  cpus: { type: "string" },
  scramble: { type: "string" },
  module: { type: "string", multiple: true },
  "triple-fault": { type: "string" },
  "on-stuck": { type: "string" },
  config: { type: "string", short: "c" },
  full: { type: "boolean", short: "f" },
  perms: { type: "boolean", short: "p" },
  after: { type: "string" },
  kernel: { type: "string", short: "k" },
  initrd: { type: "string", short: "i" },
  append: { type: "string", short: "a" },
  memory: { type: "string", short: "m" },
  block: { type: "string", short: "b", multiple: true },
  net: { type: "string", multiple: true },
  time: { type: "string" },
  bus: { type: "string" },
  "fault-path": { type: "string" },
  pae: { type: "string" },
  symbols: { type: "string" },
  "system-map": { type: "string" },
  "user-elf": { type: "string" },
  every: { type: "string" },
  stacks: { type: "boolean" },
  top: { type: "string" },
  pprof: { type: "string" },
  speedscope: { type: "string" },
  reboot: { type: "boolean" },
  stats: { type: "boolean" },
  seed: { type: "string" },
  slice: { type: "string" },
  "ns-per-instruction": { type: "string" },
  chaos: { type: "string" },
  "nmi-every": { type: "string" },
  save: { type: "string" },
  "no-worker": { type: "boolean" },
  tour: { type: "boolean" },
  policy: { type: "boolean" },
  debug: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

const PROFILE_OPTIONS = [
  "every",
  "stacks",
  "top",
  "pprof",
  "speedscope",
  "system-map",
  "user-elf",
] as const;
const STORE_OPTIONS = ["full", "perms", "after"] as const;
/** Rows of the profile's table. */
const TOP = 20;
/** Callers that --stacks follows. */
const STACK_DEPTH = 64;

/** Text of `wasmvisor --help`. */
export const HELP = `wasmvisor: runs 32-bit x86 paravirtual guests in WebAssembly

  wasmvisor demo [options]                   boot the embedded guest
  wasmvisor run --kernel FILE [options]      boot a kernel of yours
  wasmvisor profile --kernel FILE [options]  boot it and show where it spends its instructions
  wasmvisor bench WHAT [options]             what round trips and hypercalls cost; wasmvisor bench --help
  wasmvisor restore FILE [options]           go on with a guest that --save wrote
  wasmvisor run guest.cfg [options]          boot what a configuration file of xl's describes
  wasmvisor xenstore ls [PATH] [options]     boot a Xen guest and show its xenstore
  wasmvisor trace --policy [--abi xen-pv]    which traps and calls take which way on the two fault paths

Guest
  -k, --kernel FILE        vmlinux (ELF) or bzImage; with --abi bare a Multiboot 1 kernel, an ELF with a
                           PVH entry note, a bzImage, or a ROM image; detected
  -i, --initrd FILE        initial RAM disk
  -a, --append TEXT        kernel command line
  -m, --memory SIZE        RAM, such as 64M (the default) or 1G
      --abi NAME           paravirtual interface, lguest (the default) or xen-pv; or bare, a plain machine
                           with a serial port, whose debug-exit port sets the exit code
      --cpu NAME           i686 (the default), pentium3 (with MMX and SSE), pentium4 (with SSE2), core2 (with
                           SSE3 to SSE4.1) or max (with SSE4.2, SMEP, SMAP, UMIP and what else there is)
      --cpus N             virtual processors, 1 (the default) to 8 (bare, xen-pv)
      --scramble N         give a Xen guest its machine frames in random order, from seed N (xen-pv)
      --module FILE        further module after the initial RAM disk (bare), by its file name; may be repeated
      --triple-fault HOW   kill (the default) or restart (bare)
      --on-stuck HOW       when all processors halt with interrupts off: end (the default), or wait for an NMI
                           (bare)
      --bus auto|page|pci  lguest devices: descriptor page (Linux up to 4.0), PCI (4.1 and later), or
                           found out at boot (the default)
      --fault-path WHERE   switcher (the default): traps, TLB misses and page-table calls complete inside
                           Wasm (lguest, xen-pv); host: the classic path, out to the Host and back for each
      --pae auto|on|off    page tables of an lguest guest; told by its first table by default
  -b, --block FILE[,HOW]   disk, a raw image; HOW is ro (read-only) or overlay (writes are dropped at the
                           end); may be repeated
      --net peer[:ADDRESS] network port to a small host that answers ARP and ping at 10.0.0.1 or ADDRESS, and
                           nothing else; may be repeated
      --net hub:NAME       network port on a hub, which joins the guests of one process: for programs that
                           embed several; a guest started from here is alone on it

Run
      --time virtual|real  virtual time follows executed instructions, so that every run is the same; real
                           time follows the clock (the default in a terminal, otherwise virtual)
      --reboot             boot again when the guest asks for a restart
      --seed N             seed of the guest's random-number device in virtual time
      --ns-per-instruction N   what an instruction takes in virtual time (default 1): for guests that wait by
                           looking at the clock
      --slice N            longest run of instructions between two looks at the outside world
      --nmi-every N        send the guest a non-maskable interrupt every N instructions
      --save FILE          when the guest suspends itself, for Ctrl-A Z or on SIGUSR2, write it to FILE and
                           end (xen-pv); a name that ends in .gz is packed
      --no-worker          run the guest on the main thread
      --tour               demo without a terminal: show what there is to see, then power off

Configuration files of xl's, or a name that ends in .cfg; what options say goes before what they say
  -c, --config FILE        kernel, ramdisk, cmdline, root, extra, memory, vcpus, name, disk, vif and on_reboot
                           of a Xen guest; what means nothing here is told, what cannot be had is refused

restore, with the options of run; memory, processors and name are the saved guest's
      --block, --net       as many as it had, in the same order
      --kernel FILE        what --reboot boots

xenstore ls, with the options of run; what the guest prints goes to the standard error
      --after SECONDS      show it then, and end the guest; without it, when the guest has ended
  -f, --full               whole paths
  -p, --perms              who may read and write each node

Profile, with the options of run; without --kernel the embedded guest shows what there is to see
      --every N            instructions between two samples (default ${LIMITS.everyInstructions.default.toLocaleString("en-US")})
      --stacks             follow frame pointers to the callers, where the kernel was built with them
      --top N              rows of the table (default ${TOP})
      --pprof FILE         write the samples for pprof
      --speedscope FILE    write the samples for www.speedscope.app
      --system-map FILE    the same as --symbols
      --user-elf FILE      the program whose symbols name what runs at ring 3, which otherwise counts by
                           address space

Diagnosis
      --stats              print what the guest did: exits, hypercalls, faults, speed
      --symbols FILE       System.map for crash reports and profiles, where the kernel image has no symbols
      --chaos N            drop all cached translations at random moments, from seed N
      --debug              print stack traces of errors
  -h, --help               this text
  -V, --version            the version

In a terminal, Ctrl-A X leaves, Ctrl-A T shows xenstore, Ctrl-A H lists the other keys. SIGTERM asks a Xen
guest to power off and ends it after ten seconds; other signals, and a second one, end it at once.

Exit codes
${EXIT_CODE_HELP.map(([code, text]) => `  ${String(code).padEnd(7)}${text}`).join("\n")}
`;

/**
 * Parses the arguments after the program's name.
 * @throws UsageError
 */
export function parseCommandLine(args: string[]): Command {
  if (args[0] === "bench") return parseBench(args.slice(1));
  const { values, positionals } = parse(args);
  if (values.help) return { verb: "help" };
  if (values.version) return { verb: "version" };
  const { verb, extra, configFile, storePath, restoreFile } = wordsOf(positionals, values.config);
  if (verb === undefined)
    throw new UsageError("a command is missing: wasmvisor run or wasmvisor demo");
  if (verb === "help") return { verb: "help" };
  if (verb === "trace" && values.policy && extra === undefined)
    return { verb, abi: choice("--abi", values.abi, TRACED_ABIS) ?? TRACED_ABIS[0] };
  if (verb === "trace") throw new UsageError("trace takes --policy and --abi, and nothing else");
  if (!isRunVerb(verb)) {
    throw new UsageError(
      `"${verb}" is no command; there are run, restore, demo, profile, xenstore, bench and trace`,
    );
  }
  if (extra !== undefined) {
    throw new UsageError(
      `"${extra}" is one argument too many; files are given as --kernel ${extra}`,
    );
  }
  if (verb === "restore" && restoreFile === undefined) {
    throw new UsageError("restore needs the file that --save wrote: wasmvisor restore FILE");
  }
  if (verb === "restore" && configFile !== undefined) {
    throw new UsageError("a saved guest has its configuration; give its disks as --block");
  }
  const abi = verb === "xenstore" || verb === "restore" ? "xen-pv" : undefined;
  if (values.save !== undefined && (values.abi ?? abi ?? (configFile && "xen-pv")) !== "xen-pv") {
    throw new UsageError("--save is for --abi xen-pv: other guests cannot suspend themselves");
  }
  const wantsKernel = verb === "run" || verb === "xenstore";
  if (wantsKernel && values.kernel === undefined && configFile === undefined)
    throw new UsageError("--kernel FILE is missing");
  if (verb === "demo" && configFile !== undefined) {
    throw new UsageError("demo boots the embedded guest; use run for a configuration file");
  }
  const strayed = STORE_OPTIONS.find((name) => values[name] !== undefined);
  if (verb !== "xenstore" && strayed !== undefined) {
    throw new UsageError(`--${strayed} is for xenstore ls`);
  }
  if (verb === "demo" && values.kernel !== undefined) {
    throw new UsageError("demo boots the embedded guest; use run for a kernel of yours");
  }
  const stray = PROFILE_OPTIONS.find((name) => values[name] !== undefined);
  if (verb !== "profile" && stray !== undefined) throw new UsageError(`--${stray} is for profile`);
  if (verb === "run" && values.tour) throw new UsageError("--tour is for demo");
  const faultPath = choice("--fault-path", values["fault-path"], FAULT_PATHS);
  const isEmbeddedProfile = verb === "profile" && values.kernel === undefined;
  return {
    verb,
    configFile,
    store:
      verb !== "xenstore"
        ? undefined
        : {
            path: storePath ?? "/",
            hasFullPaths: values.full ?? false,
            hasPermissions: values.perms ?? false,
            afterMs: milliseconds("--after", values.after),
          },
    kernelFile: values.kernel,
    restoreFile,
    saveFile: values.save,
    initrdFile: values.initrd,
    moduleFiles: values.module ?? [],
    symbolsFile: values.symbols ?? values["system-map"],
    showStats: values.stats ?? false,
    showTraces: values.debug ?? false,
    commandsWithoutTerminal: values.tour || isEmbeddedProfile ? "run=tour;poweroff" : undefined,
    profile:
      verb !== "profile"
        ? undefined
        : {
            pprofFile: values.pprof,
            speedscopeFile: values.speedscope,
            userFile: values["user-elf"],
            top: count("--top", values.top) ?? TOP,
          },
    options: {
      abi: choice("--abi", values.abi ?? abi, ABIS),
      cpu: choice("--cpu", values.cpu, CPU_NAMES),
      vcpus: count("--cpus", values.cpus),
      commandLine: values.append,
      memoryBytes: size("--memory", values.memory),
      block: (values.block ?? []).map(disk),
      net: (values.net ?? []).map(netPort),
      time: choice("--time", values.time, ["virtual", "real"]),
      onRestart: values.reboot ? "reboot" : "end",
      seed: count("--seed", values.seed),
      sliceInstructions: count("--slice", values.slice),
      nsPerInstruction: count("--ns-per-instruction", values["ns-per-instruction"]),
      nmiEvery: count("--nmi-every", values["nmi-every"]),
      mode: values["no-worker"] ? "inline" : undefined,
      xen: {
        storeAtEnd: verb === "xenstore" ? true : undefined,
        scramble: count("--scramble", values.scramble),
        faultPath,
      },
      bare: {
        onTripleFault: choice("--triple-fault", values["triple-fault"], ["kill", "restart"]),
        onStuck: choice("--on-stuck", values["on-stuck"], ["end", "wait"]),
      },
      lguest: {
        bus: choice("--bus", values.bus, ["auto", "page", "pci"]),
        faultPath,
        pae: choice("--pae", values.pae, ["auto", "on", "off"]),
      },
      profile:
        verb !== "profile"
          ? undefined
          : {
              everyInstructions: count("--every", values.every),
              stackDepth: values.stacks ? STACK_DEPTH : undefined,
            },
      debug: { chaosSeed: count("--chaos", values.chaos) },
    },
  };
}

function isRunVerb(verb: string): verb is RunCommand["verb"] {
  return ["run", "restore", "demo", "profile", "xenstore"].includes(verb);
}

/** The words of a command line that are no options. */
function wordsOf(
  positionals: readonly string[],
  config: string | undefined,
): Record<"verb" | "extra" | "configFile" | "storePath" | "restoreFile", string | undefined> {
  const [verb, ...rest] = positionals;
  const restoreFile = verb === "restore" ? rest.shift() : undefined;
  if (verb === "xenstore" && rest.shift() !== "ls") {
    throw new UsageError("xenstore has one command: wasmvisor xenstore ls");
  }
  const isConfig = (word: string | undefined) => word?.endsWith(".cfg") === true;
  const named = config === undefined ? rest.find(isConfig) : undefined;
  if (named !== undefined) rest.splice(rest.indexOf(named), 1);
  const storePath = verb === "xenstore" ? rest.shift() : undefined;
  if (storePath !== undefined && !/^\/$|^(\/[-_@a-zA-Z0-9]+)+$/.test(storePath)) {
    throw new UsageError(
      `"${storePath}" is no path of xenstore; it must look like /local/domain/1`,
    );
  }
  return { verb, extra: rest[0], configFile: config ?? named, storePath, restoreFile };
}

function milliseconds(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(value)) {
    throw new UsageError(`${name} is "${value}"; it must be a number of seconds`);
  }
  return Math.round(Number(value) * 1000);
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's message goes on with advice about "--" that does not apply here.
    throw new UsageError((error as Error).message.split(". ")[0]);
  }
}

function choice<T extends string>(
  name: string,
  value: string | undefined,
  allowed: readonly T[],
): T | undefined {
  const chosen = allowed.find((each) => each === value);
  if (value !== undefined && chosen === undefined) {
    throw new UsageError(`${name} is "${value}"; it must be one of ${allowed.join(", ")}`);
  }
  return chosen;
}

function count(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw new UsageError(`${name} is "${value}"; it must be a number`);
  return Number(value);
}

function size(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const match = /^(\d{1,6})([KMG])$/i.exec(value);
  const unit = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match?.[2]?.toUpperCase() ?? ""];
  if (match === null || unit === undefined) {
    throw new UsageError(`${name} is "${value}"; write it as 65536K, 64M or 1G`);
  }
  return Number(match[1]) * unit;
}

function disk(text: string): BlockOptions {
  const match = /^(.*),(rw|ro|overlay)$/.exec(text);
  const file = match?.[1] ?? text;
  if (file === "") throw new UsageError("--block needs a file: --block disk.img or disk.img,ro");
  return { file, access: (match?.[2] ?? "rw") as "rw" | "ro" | "overlay" };
}

function netPort(text: string): NetOptions {
  const [, kind, rest] = /^(hub|peer)(?::(.+))?$/.exec(text) ?? [];
  if (kind === "peer") return { peer: rest ?? PEER_ADDRESS };
  if (kind === undefined || rest === undefined) {
    throw new UsageError(`--net is "${text}"; it must look like peer, peer:10.0.0.1 or hub:lan`);
  }
  return { hub: rest };
}
