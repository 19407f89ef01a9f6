/** The program as people and scripts use it: pipes, exit codes, signals, and a terminal. Needs the build. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { buildXenMicrokernel, findGcc } from "../../tools/guest-build.ts";
import { MAIN, type Outcome, type Started, start } from "../drivers/program.ts";
import { xenQuitter, xenSleeper } from "../drivers/xen-sleeper.ts";
import { buildElf } from "../unit/boot/images.ts";

const SECONDS = 1000;
const folder = mkdtempSync(join(tmpdir(), "wasmvisor-launcher-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const demo = (...args: string[]): Started => start(process.execPath, [MAIN, "demo", ...args]);

/** A kernel that is nothing but these bytes of code. */
function kernelOf(name: string, ...code: number[]): string {
  const file = join(folder, name);
  const segments = [{ paddr: 0x100000, bytes: Uint8Array.from(code), memsz: 0x1000 }];
  writeFileSync(
    file,
    buildElf({ segments, symbols: [{ name: "crime", address: 0x100000, size: 16 }] }),
  );
  return file;
}

describe("bad input", () => {
  const launch = (...args: string[]): Promise<Outcome> =>
    start(process.execPath, [MAIN, ...args]).ended;

  test("prints its help and succeeds", async () => {
    const { code, stdout } = await launch("--help");
    expect(code).toBe(0);
    expect(stdout).toContain("wasmvisor run --kernel FILE");
  });

  test("answers bad usage with code 2 and one sentence, no stack trace", async () => {
    const { code, stderr } = await launch("run", "--kernel", "k", "--memory", "lots");
    expect(code).toBe(2);
    expect(stderr).toContain('--memory is "lots"');
    expect(stderr).not.toContain("    at ");
  });

  test("ends a comparison with 1 for what became worse alone, with 2 for files that cannot be compared", async () => {
    const result = (name: string, ns: number) => {
      const row = { name: "trap", path: "host", ns, ciLow: ns, ciHigh: ns };
      const file = join(folder, name);
      writeFileSync(file, JSON.stringify({ format: 1, scenarios: [row] }));
      return file;
    };
    const [fast, slow] = [result("fast.json", 100), result("slow.json", 150)];
    const compare = async (...files: string[]) => (await launch("bench", "compare", ...files)).code;
    expect([await compare(fast, fast), await compare(fast, slow)]).toEqual([0, 1]);
    expect([await compare(fast, "no-such-file"), await compare(fast)]).toEqual([2, 2]);
  });

  test("answers a missing kernel with code 1 and the file's name", async () => {
    const { code, stderr } = await launch("run", "--kernel", "no-such-kernel");
    expect(code).toBe(1);
    expect(stderr).toContain("cannot read the kernel no-such-kernel: there is no such file");
  });

  test("answers a file that is no kernel with code 1 and what it found", async () => {
    const { code, stderr } = await launch("run", "--kernel", "LICENSE");
    expect(code).toBe(1);
    expect(stderr).toContain("kernel: the file is not recognised");
  });

  test("answers symbols that are none with code 1 before the guest starts", async () => {
    for (const option of ["--system-map", "--user-elf"]) {
      const { code, stderr, stdout } = await launch("profile", option, "package.json");
      expect(code, option).toBe(1);
      expect(stderr).toMatch(
        /^wasmvisor: cannot use the (symbols|program) package.json: it is no /,
      );
      expect(stdout).toBe("");
    }
  });

  test("answers an option outside its limits with code 2", async () => {
    const { code, stderr } = await launch("demo", "--memory", "1K");
    expect(code).toBe(2);
    expect(stderr).toContain("memoryBytes");
  });
});

describe("exit codes", () => {
  test("0 after a power off, with the guest's output on stdout", async () => {
    const run = demo("--append", "run=echo hello from ring 3;poweroff");
    run.endInput();
    const { code, stdout } = await run.ended;
    expect(stdout).toContain("hello from ring 3");
    expect(code).toBe(0);
  });

  test("3 after a panic, with a crash report on stderr", async () => {
    const run = demo("--append", "run=panic");
    const { code, stderr } = await run.ended;
    expect(stderr).toContain("guest panicked: ");
    expect(stderr).toContain("backtrace:");
    expect(code).toBe(3);
  });

  test("4 when the guest is killed, with the rule, the code and the symbol", async () => {
    // mov eax, 99; int 0x1f
    const kernel = kernelOf("crime.elf", 0xb8, 99, 0, 0, 0, 0xcd, 0x1f, 0xf4);
    const { code, stderr } = await start(process.execPath, [MAIN, "run", "--kernel", kernel]).ended;
    expect(stderr).toContain("guest killed: hypercall 99 before INIT");
    expect(stderr).toContain("mov eax, 0x63");
    expect(stderr).toContain("<crime+0x7/0x10>");
    expect(code).toBe(4);
  });

  test("5 after a restart, unless --reboot boots the guest again", async () => {
    const once = await demo("--append", "run=reboot").ended;
    expect(once.stderr).toContain("guest asked for a restart");
    expect(once.code).toBe(5);

    const twice = demo("--append", "run=reboot", "--reboot");
    await twice.prints("guest restarts (2)");
    twice.signal("SIGTERM");
    expect((await twice.ended).code).toBe(143);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it tidily with %i", async (signal, expected) => {
    const run = demo();
    await run.prints("$");
    run.signal(signal);
    expect((await run.ended).code).toBe(expected);
  });
});

describe("pipes", () => {
  test("commands come from a pipe, and its end does not kill the guest before they are done", async () => {
    const run = demo();
    run.type("primes 1000\npoweroff\n");
    run.endInput();
    const { code, stdout } = await run.ended;
    expect(stdout).toContain("168 primes");
    expect(code).toBe(0);
  });

  test("two runs with the same input print the same", async () => {
    const outputs = await Promise.all(
      [1, 2].map(async () => {
        const run = demo("--append", "run=faults;syscalls;switch;poweroff");
        run.endInput();
        return (await run.ended).stdout;
      }),
    );
    expect(outputs[0]).toBe(outputs[1]);
  });

  test("--stats says what the guest did", async () => {
    const run = demo("--append", "run=primes;poweroff", "--stats");
    run.endInput();
    const { stderr } = await run.ended;
    expect(stderr).toMatch(/instructions +[\d,]+ +[\d.]+ MIPS/);
    expect(stderr).toContain("SHUTDOWN");
    expect(stderr).toContain("#PF page fault");
  });
});

const SCRIPT = "/usr/bin/script";
describe.skipIf(!existsSync(SCRIPT))(
  "a terminal (needs script of util-linux)",
  () => {
    const inTerminal = (command: string): Started => start(SCRIPT, ["-qfec", command, "/dev/null"]);

    test("Ctrl-A X leaves with code 6 and puts the terminal back", async () => {
      const run = inTerminal(`"${process.execPath}" "${MAIN}" demo; echo CODE=$?; stty -a`);
      await run.prints("$");
      run.type("\x01x");
      const { stdout } = await run.ended;
      expect(stdout).toContain("CODE=6");
      expect(stdout).toMatch(/[^-]icanon/);
      expect(stdout).toMatch(/[^-]echo /);
    });

    test("keys reach the guest, and Ctrl-C is one of them", async () => {
      const run = inTerminal(`"${process.execPath}" "${MAIN}" demo; echo CODE=$?`);
      await run.prints("$");
      run.type("abc\x03echo still here\r");
      // At the start of a line, so it is the command's output and not its echo.
      await run.prints("\nstill here");
      run.type("poweroff\r");
      expect((await run.ended).stdout).toContain("CODE=0");
    });
  },
  60 * SECONDS,
);

describe("a Xen guest", () => {
  const write = (name: string, content: string | Uint8Array): string => {
    const file = join(folder, name);
    writeFileSync(file, content);
    return file;
  };
  const launch = (...args: string[]): Promise<Outcome> =>
    start(process.execPath, [MAIN, ...args]).ended;

  test("shows its store when it has ended, or after a while", async () => {
    const quitter = write("quitter", xenQuitter);
    const { code, stdout } = await launch("xenstore", "ls", "--kernel", quitter, "--memory", "8M");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^tool|^local = ""\n domain = ""\n {2}1 = ""\n/m);
    const sleeper = write("sleeper", xenSleeper);
    const home = "/local/domain/1/memory";
    const flags = ["-f", "-p", "--after", "0.2", "--kernel", sleeper, "--memory", "8M"];
    const later = await launch("xenstore", "ls", home, ...flags);
    expect([later.code, later.stdout]).toEqual([
      0,
      `${home}/target = "8192"  (n0,r1)\n${home}/static-max = "8192"  (n0,r1)\n`,
    ]);
    const missing = await launch("xenstore", "ls", "/nothing", "--kernel", quitter);
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toContain("there is no node /nothing in xenstore");
  });

  test.skipIf("missing" in findGcc())(
    "that suspends itself unasked is written to the file of --save, and goes on from it; without one it goes on at once",
    async () => {
      const kernel = ["--kernel", buildXenMicrokernel("suspend"), "--memory", "8M"];
      const run = ["run", "--abi", "xen-pv", ...kernel];
      const file = join(folder, "saved.gz");
      const saved = await launch(...run, "--save", file);
      expect([saved.code, saved.stderr]).toEqual([8, expect.stringContaining("guest saved")]);
      const restored = await launch("restore", file);
      expect([restored.code, restored.stdout]).toEqual([0, expect.stringContaining("resumed")]);
      const plain = await launch(...run);
      expect([plain.code, plain.stdout]).toEqual([0, expect.stringContaining("cancelled")]);
    },
  );

  test("is made from a configuration file, and the command line goes before it", async () => {
    const quitter = write("quitter", xenQuitter);
    const file = write("guest.cfg", `kernel = "${quitter}"\nmemory = 8\nname = "web"; vnc = 1\n`);
    const listing = await launch("xenstore", "ls", "/local/domain/1", file, "--memory", "16M");
    expect(listing.code).toBe(0);
    expect(listing.stdout).toContain('name = "web"\n');
    expect(listing.stdout).toContain(' target = "16384"\n');
    expect(listing.stderr).toContain(`${file}:3:15: "vnc" has no meaning here`);
    const bad = write("bad.cfg", 'kernel = "k"\ntype = "hvm"\n');
    const refused = await launch("run", bad);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`${bad}:2:8: type = "hvm" cannot be had here`);
    expect((await launch("run", file, "--abi", "lguest")).stderr).toContain("--abi is lguest");
  });
});
