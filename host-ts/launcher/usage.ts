/** The command line: its grammar, and the sentences for what is wrong with it. */
import { parseArgs } from "node:util";
import { FAULT_PATHS } from "../base/fault-path.ts";
import { LIMITS } from "../guest/config.ts";
import { ABIS, type Abi, CPU_NAMES, type GuestOptions } from "../guest/options.ts";
import { type BenchCommand, parseBench } from "./bench-usage.ts";
import { TOP } from "./help.ts";
import { choice, count, disk, milliseconds, netPort, size } from "./option-values.ts";
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
/** Callers that --stacks follows. */
const STACK_DEPTH = 64;
/** The interfaces whose guests an option means something to, where it is not all of them. */
const OPTION_ABIS: Readonly<Partial<Record<keyof typeof OPTIONS, readonly Abi[]>>> = {
  scramble: ["xen-pv"],
  save: ["xen-pv"],
  bus: ["lguest"],
  pae: ["lguest"],
  module: ["bare"],
  "triple-fault": ["bare"],
  "on-stuck": ["bare"],
  "fault-path": ["lguest", "xen-pv"],
  cpus: ["bare", "xen-pv"],
};

/**
 * Parses the arguments after the program's name.
 * @throws UsageError
 */
export function parseCommandLine(args: string[]): Command {
  if (args[0] === "bench") return parseBench(args.slice(1));
  const { values, positionals } = parse(args);
  if (values.help) return { verb: "help" };
  if (values.version) return { verb: "version" };
  const words = wordsOf(positionals, values.config);
  const { verb, extra } = words;
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
  refuseContradictions(verb, values, words);
  return runCommand(verb, values, words);
}

/** What each verb wants and does not take. */
function refuseContradictions(verb: RunCommand["verb"], values: Values, words: Words): void {
  const { configFile, restoreFile } = words;
  if (verb === "restore" && restoreFile === undefined) {
    throw new UsageError("restore needs the file that --save wrote: wasmvisor restore FILE");
  }
  if (verb === "restore" && configFile !== undefined) {
    throw new UsageError("a saved guest has its configuration; give its disks as --block");
  }
  const abi = choice("--abi", values.abi ?? abiOf(verb), ABIS);
  refuseForeign(values, abi ?? (configFile === undefined ? ABIS[0] : "xen-pv"));
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
}

/** The abi that a verb is for. */
function abiOf(verb: RunCommand["verb"]): "xen-pv" | undefined {
  return verb === "xenstore" || verb === "restore" ? "xen-pv" : undefined;
}

function runCommand(verb: RunCommand["verb"], values: Values, words: Words): RunCommand {
  const { configFile, storePath, restoreFile } = words;
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
      abi: choice("--abi", values.abi ?? abiOf(verb), ABIS),
      cpu: choice("--cpu", values.cpu, CPU_NAMES),
      vcpus: count("--cpus", values.cpus, LIMITS.vcpus),
      commandLine: values.append,
      memoryBytes: size("--memory", values.memory),
      block: (values.block ?? []).map(disk),
      net: (values.net ?? []).map(netPort),
      time: choice("--time", values.time, ["virtual", "real"]),
      onRestart: values.reboot ? "reboot" : "end",
      seed: count("--seed", values.seed, LIMITS.seed),
      sliceInstructions: count("--slice", values.slice, LIMITS.sliceInstructions),
      nsPerInstruction: count(
        "--ns-per-instruction",
        values["ns-per-instruction"],
        LIMITS.nsPerInstruction,
      ),
      nmiEvery: count("--nmi-every", values["nmi-every"], LIMITS.nmiEvery),
      mode: values["no-worker"] ? "inline" : undefined,
      xen: {
        storeAtEnd: verb === "xenstore" ? true : undefined,
        scramble: count("--scramble", values.scramble, LIMITS.scramble),
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
              everyInstructions: count("--every", values.every, LIMITS.everyInstructions),
              stackDepth: values.stacks ? STACK_DEPTH : undefined,
            },
      debug: { chaosSeed: count("--chaos", values.chaos, LIMITS.chaosSeed) },
    },
  };
}

/** An option that would change nothing is a misunderstanding. */
function refuseForeign(values: Values, abi: Abi): void {
  for (const [name, abis] of Object.entries(OPTION_ABIS)) {
    const value = values[name as keyof typeof OPTIONS];
    // One processor is what every guest has.
    if (value === undefined || (name === "cpus" && value === "1") || abis.includes(abi)) continue;
    const homes = abis.join(" or ");
    throw new UsageError(`--${name} is for --abi ${homes}, and this guest's is ${abi}`);
  }
}

/** Values of the options, as Node parsed them. */
type Values = ReturnType<typeof parse>["values"];

/** The words of a command line that are no options, by what they mean. */
type Words = Record<
  "verb" | "extra" | "configFile" | "storePath" | "restoreFile",
  string | undefined
>;

function isRunVerb(verb: string): verb is RunCommand["verb"] {
  return ["run", "restore", "demo", "profile", "xenstore"].includes(verb);
}

function wordsOf(positionals: readonly string[], config: string | undefined): Words {
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

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's message goes on with advice about "--" that does not apply here.
    throw new UsageError((error as Error).message.split(". ")[0]);
  }
}
