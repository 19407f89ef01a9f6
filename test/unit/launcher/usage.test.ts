import { describe, expect, test } from "vitest";
import { HELP } from "../../../host-ts/launcher/help.ts";
import { parseCommandLine, type RunCommand } from "../../../host-ts/launcher/usage.ts";
import { UsageError } from "../../../host-ts/launcher/usage-error.ts";

const run = (...args: string[]): RunCommand =>
  parseCommandLine(["run", "--kernel", "vmlinux", ...args]) as RunCommand;

test("a kernel alone is enough", () => {
  expect(run()).toMatchObject({
    verb: "run",
    kernelFile: "vmlinux",
    initrdFile: undefined,
    showStats: false,
    options: { block: [], net: [], onRestart: "end" },
  });
});

test("profile takes the options of run, and says where its samples go", () => {
  const words = ["--every", "5000", "--stacks", "--top", "7", "--pprof", "p", "--speedscope", "s"];
  const files = ["--system-map", "m", "--user-elf", "u"];
  const command = parseCommandLine(["profile", "--kernel", "k", ...words, ...files]);
  expect(command).toMatchObject({
    verb: "profile",
    kernelFile: "k",
    symbolsFile: "m",
    profile: { pprofFile: "p", speedscopeFile: "s", userFile: "u", top: 7 },
    options: { profile: { everyInstructions: 5000, stackDepth: 64 } },
    commandsWithoutTerminal: undefined,
  });
  expect(parseCommandLine(["profile"])).toMatchObject({
    kernelFile: undefined,
    commandsWithoutTerminal: "run=tour;poweroff",
  });
  expect(() => run("--pprof", "p")).toThrow("--pprof is for profile");
});

test("every option reaches the guest's options", () => {
  const command = run(
    ...["--abi", "lguest", "--initrd", "rd.gz", "--append", "quiet init=/x", "--memory", "128M"],
    ...[
      "--block",
      "a.img",
      "--block",
      "b.img,ro",
      "--block",
      "c,d.img,overlay",
      "--net",
      "hub:lan",
      "--net",
      "peer",
      "--net",
      "peer:192.168.7.1",
    ],
    ...["--time", "real", "--bus", "pci", "--reboot", "--stats", "--seed", "7", "--slice", "5000"],
    ...["--ns-per-instruction", "20"],
    ...["--cpu", "pentium4", "--nmi-every", "1000000"],
    ...["--no-worker", "--chaos", "9", "--symbols", "System.map", "--debug"],
  );
  expect(command).toEqual({
    verb: "run",
    kernelFile: "vmlinux",
    initrdFile: "rd.gz",
    moduleFiles: [],
    symbolsFile: "System.map",
    showStats: true,
    showTraces: true,
    options: {
      abi: "lguest",
      cpu: "pentium4",
      nmiEvery: 1_000_000,
      commandLine: "quiet init=/x",
      memoryBytes: 128 * 2 ** 20,
      block: [
        { file: "a.img", access: "rw" },
        { file: "b.img", access: "ro" },
        { file: "c,d.img", access: "overlay" },
      ],
      net: [{ hub: "lan" }, { peer: "10.0.0.1" }, { peer: "192.168.7.1" }],
      time: "real",
      onRestart: "reboot",
      seed: 7,
      sliceInstructions: 5000,
      nsPerInstruction: 20,
      mode: "inline",
      xen: {},
      bare: {},
      lguest: { bus: "pci" },
      debug: { chaosSeed: 9 },
    },
  });
});

test("so do those of one interface", () => {
  const bare = [
    ...["--module", "m1", "--module", "m2"],
    ...["--triple-fault", "restart", "--on-stuck", "wait"],
  ];
  expect(run("--abi", "bare", "--cpus", "2", ...bare)).toMatchObject({
    moduleFiles: ["m1", "m2"],
    options: { vcpus: 2, bare: { onTripleFault: "restart", onStuck: "wait" } },
  });
  expect(run("--abi", "xen-pv", "--scramble", "7", "--save", "f")).toMatchObject({
    saveFile: "f",
    options: { xen: { scramble: 7 } },
  });
});

test.each([
  ["65536K", 2 ** 26],
  ["64m", 2 ** 26],
  ["1G", 2 ** 30],
])("--memory %s is %i bytes", (text, bytes) => {
  expect(run("--memory", text).options.memoryBytes).toBe(bytes);
});

test("help and version win over everything else", () => {
  expect(parseCommandLine(["run", "--help"])).toEqual({ verb: "help" });
  expect(parseCommandLine(["--version"])).toEqual({ verb: "version" });
});

describe("nonsense is answered with one sentence that names it", () => {
  test.each([
    [[], "command is missing"],
    [["walk"], '"walk" is no command'],
    [["run"], "--kernel FILE is missing"],
    [["run", "vmlinux"], "one argument too many"],
    [["run", "--kernel"], "--kernel"],
    [["run", "--kernel", "k", "--colour"], "--colour"],
    [["run", "--kernel", "k", "--memory", "64"], "write it as"],
    [["run", "--kernel", "k", "--memory", "-1M"], "--memory"],
    [["run", "--kernel", "k", "--time", "mountain"], "virtual, real"],
    [["run", "--kernel", "k", "--abi", "kvm"], "lguest"],
    [["run", "--kernel", "k", "--cpu", "386"], "i686, pentium3, pentium4, core2, max"],
    [["run", "--kernel", "k", "--seed", "x"], "must be a number"],
    [["run", "--kernel", "k", "--net", "tap0"], "hub:lan"],
    [["run", "--kernel", "k", "--net", "hub"], "hub:lan"],
    [["run", "--kernel", "k", "--block", ",ro"], "--block needs a file"],
    [["demo", "--kernel", "k"], "use run"],
  ])("%j", (args, sentence) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError);
    expect(() => parseCommandLine(args)).toThrow(sentence);
  });
});

test("the help text names every option and fits 110 columns", () => {
  const options =
    "abi cpu kernel initrd append memory block net time bus symbols reboot stats seed slice";
  for (const name of `${options} chaos no-worker debug help version`.split(" ")) {
    expect(HELP).toContain(`--${name}`);
  }
  expect(Math.max(...HELP.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
});

test("trace shows the policy of an interface and nothing else", () => {
  expect(parseCommandLine(["trace", "--policy"])).toEqual({ verb: "trace", abi: "lguest" });
  expect(parseCommandLine(["trace", "--policy", "--abi", "xen-pv"])).toEqual({
    verb: "trace",
    abi: "xen-pv",
  });
  for (const args of [
    ["trace"],
    ["trace", "--policy", "vmlinux"],
    ["trace", "--policy", "--abi", "bare"],
  ]) {
    expect(() => parseCommandLine(args)).toThrow(UsageError);
  }
});

test("a configuration file may stand in for the kernel, by option or by its name", () => {
  const named = parseCommandLine(["run", "guest.cfg", "--memory", "32M"]);
  expect(named).toMatchObject({ verb: "run", configFile: "guest.cfg", kernelFile: undefined });
  expect(parseCommandLine(["run", "-c", "guest"])).toMatchObject({ configFile: "guest" });
  expect(parseCommandLine(["profile", "guest.cfg"])).toMatchObject({ configFile: "guest.cfg" });
  expect(run().configFile).toBeUndefined();
  expect(() => parseCommandLine(["run", "a.cfg", "b.cfg"])).toThrow('"b.cfg" is one argument');
  expect(() => parseCommandLine(["demo", "a.cfg"])).toThrow(UsageError);
});

test("xenstore ls takes a path, the options of run and its own", () => {
  const listing = (...args: string[]) =>
    parseCommandLine(["xenstore", "ls", ...args]) as RunCommand;
  expect(listing("--kernel", "k")).toMatchObject({
    verb: "xenstore",
    kernelFile: "k",
    store: { path: "/", hasFullPaths: false, hasPermissions: false, afterMs: undefined },
    options: { abi: "xen-pv", xen: { storeAtEnd: true } },
  });
  expect(listing("/local/domain/1", "g.cfg", "-f", "-p", "--after", "2.5")).toMatchObject({
    configFile: "g.cfg",
    store: { path: "/local/domain/1", hasFullPaths: true, hasPermissions: true, afterMs: 2500 },
  });
  expect(() => listing()).toThrow("--kernel FILE is missing");
  for (const path of ["local", "/a//b", "/a/", "/a b"]) {
    expect(() => listing(path, "--kernel", "k")).toThrow("no path of xenstore");
  }
  expect(() => listing("--kernel", "k", "--after", "soon")).toThrow("a number of seconds");
  expect(() => parseCommandLine(["xenstore", "--kernel", "k"])).toThrow("xenstore ls");
  expect(() => run("--full")).toThrow("--full is for xenstore ls");
});

test("restore takes the file that --save wrote, and the options of run", () => {
  const restore = (...args: string[]) => parseCommandLine(["restore", ...args]) as RunCommand;
  expect(
    restore("guest.img", "--block", "d.img", "--save", "again.gz", "--scramble", "7"),
  ).toMatchObject({
    verb: "restore",
    restoreFile: "guest.img",
    kernelFile: undefined,
    saveFile: "again.gz",
    options: { abi: "xen-pv", block: [{ file: "d.img", access: "rw" }], xen: { scramble: 7 } },
  });
  expect(() => restore()).toThrow("restore needs the file that --save wrote");
  expect(() => restore("a", "b")).toThrow('"b" is one argument too many');
  expect(() => restore("a", "--config", "x.cfg")).toThrow("has its configuration");
});

test("--save is for guests that can suspend themselves", () => {
  expect(run("--abi", "xen-pv", "--save", "f").saveFile).toBe("f");
  expect(() => run("--save", "f")).toThrow("--save is for --abi xen-pv");
  expect(() => run("--abi", "bare", "--save", "f")).toThrow("--save is for --abi xen-pv");
});

test("options that one interface has are refused for the others, by name", () => {
  const options = {
    "--scramble": ["3", "xen-pv"],
    "--save": ["f", "xen-pv"],
    "--bus": ["pci", "lguest"],
    "--pae": ["off", "lguest"],
    "--module": ["f", "bare"],
    "--triple-fault": ["kill", "bare"],
    "--on-stuck": ["wait", "bare"],
    "--fault-path": ["host", "lguest or xen-pv"],
    "--cpus": ["2", "bare or xen-pv"],
  };
  for (const [option, [value, home]] of Object.entries(options)) {
    for (const abi of ["lguest", "xen-pv", "bare"]) {
      const parse = () => run("--abi", abi, option, value!);
      const refusal = `${option} is for --abi ${home}, and this guest's is ${abi}`;
      if (home!.split(" or ").includes(abi)) expect(parse).not.toThrow();
      else expect(parse).toThrow(refusal);
    }
  }
  expect(() => run("--scramble", "3")).toThrow("this guest's is lguest");
  expect(() => parseCommandLine(["run", "x.cfg", "--bus", "pci"])).toThrow("is xen-pv");
  expect(run("--cpus", "1").options.vcpus).toBe(1);
  expect(() => run("--abi", "bare", "--cpus", "9")).toThrow("--cpus is 9; it must be from 1 to 8");
});
