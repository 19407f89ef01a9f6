/**
 * The plain machine from outside: a kernel of ours by both boot protocols, a ROM, and the suites of others (docs/status.md, "Tests
 * that skip"): kvm-unit-tests as a folder of .flat files in WASMVISOR_KVM_UNIT_TESTS, test386.asm as its image in WASMVISOR_TEST386.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Cpu, createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildBareKernel, findGcc } from "../../tools/guest-build.ts";

const MINUTE = 60_000;
const KVM_UNIT_TESTS = process.env.WASMVISOR_KVM_UNIT_TESTS;
const TEST386 = process.env.WASMVISOR_TEST386;

async function run(
  kernel: Uint8Array,
  options: Partial<GuestOptions> = {},
): Promise<{ end: GuestEnd; text: string }> {
  const guest = await createGuest({ kernel, abi: "bare", mode: "inline", ...options });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let text = "";
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1");
  });
  const ended = guest.run();
  await guest.console.writable.close();
  return { end: await ended, text };
}

const gcc = findGcc();
describe.skipIf("missing" in gcc)("a kernel of ours (needs gcc -m32)", () => {
  const kernel = (protocol: "multiboot" | "pvh") =>
    new Uint8Array(readFileSync(buildBareKernel(protocol)));

  test.each(["multiboot", "pvh"] as const)(
    "started by %s it sees its command line and modules, wakes from HLT ten times, and exits with its code",
    async (protocol) => {
      const { end, text } = await run(kernel(protocol), {
        commandLine: "3 quiet",
        initrd: Uint8Array.of(0x58),
        bare: { modules: [Uint8Array.of(0x59)] },
      });
      expect(text).toBe(`${protocol} [3 quiet] modules 2 X\nticks 10\n`);
      expect(end).toMatchObject({ kind: "exit", exitCode: 7, crash: undefined });
      // Ten periods of the timer, to the instruction.
      expect(end.stats.guestSeconds).toBeCloseTo(0.1, 2);
    },
  );

  test("the same run twice is the same, in slices of any length", async () => {
    const runs = [];
    for (const sliceInstructions of [100_000, 100, 977]) {
      const { end } = await run(kernel("multiboot"), {
        commandLine: "0",
        sliceInstructions,
        debug: { digestAtEnd: true },
      });
      runs.push([end.digest, end.stats.instructions]);
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  });

  test.each([2, 3, 8])("%i processors start, talk, and see what the others do", async (vcpus) => {
    const { end, text } = await run(kernel("multiboot"), { commandLine: "smp", vcpus });
    expect(text).not.toMatch(/^BAD/m);
    expect([end.kind, end.exitCode], text).toEqual(["exit", 1]);
    expect(text.match(/^ok/gm)?.length).toBe(22);
  });

  test("the same run of three processors is the same in slices of any length, and with every translation dropped at random", async () => {
    const runs = [];
    for (const [sliceInstructions, chaosSeed] of [
      [100_000, 0],
      [100, 0],
      [977, 0],
      [100_000, 7],
    ] as const) {
      const { end, text } = await run(kernel("multiboot"), {
        commandLine: "smp",
        vcpus: 3,
        sliceInstructions,
        debug: { digestAtEnd: true, chaosSeed },
      });
      runs.push([end.digest, end.stats.instructions, text]);
    }
    for (const other of runs.slice(1)) expect(other).toEqual(runs[0]);
  });

  test("every reset of the processor goes on at the warm-reset vector, and without one the machine restarts", async () => {
    const guest = { commandLine: "reset", onRestart: "reboot" } as const;
    let lives = 0;
    const created = await createGuest({
      kernel: kernel("pvh"),
      abi: "bare",
      mode: "inline",
      ...guest,
    });
    onTestFinished(() => created[Symbol.asyncDispose]());
    let text = "";
    created.on("output", (bytes) => {
      text += Buffer.from(bytes).toString("latin1");
    });
    const restarted = new Promise<void>((resolve) => {
      created.on("reboot", (count) => {
        lives = count;
        resolve();
      });
    });
    void created.run();
    await restarted;
    await created.shutdown();
    expect([lives, text.match(/resets \d+/)?.[0]]).toEqual([1, "resets 4"]);
  });

  test("a jump to the firmware's entry point is a restart unless restarts boot again", async () => {
    const { end } = await run(kernel("pvh"), { commandLine: "reset" });
    expect([end.kind, end.reason]).toEqual(["restart", "the guest started its firmware over"]);
  });

  test("halted with interrupts off it is stuck at once", async () => {
    const { end } = await run(kernel("multiboot"), { commandLine: "hang" });
    expect(end.kind).toBe("deadlocked");
  });

  test("but not while a pin of the I/O APIC sends NMIs", async () => {
    const { end, text } = await run(kernel("multiboot"), { commandLine: "watchdog" });
    expect([end.kind, end.exitCode], text).toEqual(["exit", 2 * 3 + 1]);
  });

  test("a triple fault kills, or restarts where it is asked for", async () => {
    const commandLine = "triple";
    const image = kernel("multiboot");
    expect((await run(image, { commandLine })).end).toMatchObject({
      kind: "killed",
      reason: "triple fault",
    });
    const bare = { onTripleFault: "restart" } as const;
    expect((await run(image, { commandLine, bare })).end.kind).toBe("restart");
  });
});

test("a ROM starts in real mode at F000:FFF0 and finds its other image below 4 GiB", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  // jmp 0xf000:0x0000; mov al, 0x5a; out 0xe9, al; mov al, 2; out 0xf4, al
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  rom.set([0xb0, 0x5a, 0xe6, 0xe9, 0xb0, 0x02, 0xe6, 0xf4], 0);
  const { end, text } = await run(rom);
  expect([text, end.kind, end.exitCode]).toEqual(["Z", "exit", 5]);
});

test("a ROM finds caches off, table limits of FFFF and an x87 nobody initialized", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  const show = (address: number) => [0xa0, address & 0xff, address >>> 8, 0xe6, 0xe9];
  rom.set([
    ...[0x0f, 0x20, 0xc0, 0x66, 0xc1, 0xe8, 0x18, 0xe6, 0xe9], // mov eax, cr0; shr eax, 24; out 0xe9, al
    ...[0x0f, 0x01, 0x06, 0x00, 0x05, ...show(0x500), ...show(0x501)], // sgdt [0x500]
    ...[0x0f, 0x01, 0x0e, 0x00, 0x05, ...show(0x500), ...show(0x501)], // sidt [0x500]
    ...[0xd9, 0x36, 0x00, 0x05, ...show(0x500), ...show(0x504)], // fnstenv [0x500]
    ...[0xb0, 0x02, 0xe6, 0xf4],
  ]);
  const { text } = await run(rom);
  expect([...text].map((c) => c.charCodeAt(0))).toEqual([0x60, 0xff, 0xff, 0xff, 0xff, 0x40, 0x55]);
});

test("with CR0.NE clear an x87 exception is IRQ 13 before the next waiting instruction, each time anew", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  const code = [
    "fa31c08ed88ed0bc0070", // cli; DS and SS 0; mov sp, 0x7000
    "c706d4015d00c706d60100f0", // vector 0x75: F000:005D
    "b011e620e6a0b008e621b070e6a1b004e621b002e6a1b001e621e6a1", // both 8259s, vectors 0x08 and 0x70 on
    "b0fbe621b0dfe6a1", // line 13 alone
    "c70600057b03b90200fb", // mov word [0x500], 0x37b; mov cx, 2; sti
    "dbe3d92e0005d9e8d9eedef9", // 44: fninit; fldcw [0x500]; fld1; fldz; fdivp
    "90d9e8", // nop; 51: fld1, which waits
    "b052e6e9e2eb", // out 0xe9, "R"; loop 44
    "b02ae6f4", // exit
    "5b53b04681fb51007402b03fe6e9", // 5D: out 0xe9, "F" when the return address is 51, else "?"
    "dbe2e6f0b020e6a0e620cf", // fnclex; out 0xf0, al; end of interrupt; iret
  ];
  rom.set(Buffer.from(code.join(""), "hex"), 0);
  const { end, text } = await run(rom);
  expect([text, end.exitCode]).toEqual(["FRFR", 0x55]);
});

test("a ROM whose processor is reset begins again at its reset vector, in memory as it was", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  rom.set(
    [
      ...[0xfe, 0x06, 0x00, 0x05], // inc byte [0x500]
      ...[0x80, 0x3e, 0x00, 0x05, 0x03, 0x74, 0x08], // cmp byte [0x500], 3; je over the resets
      ...[0xb0, 0xfe, 0xe6, 0x64], // mov al, 0xfe; out 0x64, al
      ...[0xe6, 0xe9, 0xfa, 0xf4], // out 0xe9, al; cli; hlt: never reached
      ...[0xb0, 0x04, 0xe6, 0xf4], // mov al, 4; out 0xf4, al
    ],
    0,
  );
  const { end, text } = await run(rom);
  expect([end.kind, end.exitCode, text]).toEqual(["exit", 9, ""]);
});

test("told to wait, it sleeps with interrupts off until nmi(), and a recording wakes it at the same instruction", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  rom.set(
    [
      ...[0xc7, 0x06, 0x08, 0x00, 0x16, 0x00], // mov word [8], 0x16
      ...[0xc7, 0x06, 0x0a, 0x00, 0x00, 0xf0], // mov word [10], 0xf000
      ...[0xb0, 0x5a, 0xe6, 0xe9], // mov al, 0x5a; out 0xe9, al
      ...[0xfa, 0xf4], // cli; hlt
      ...[0xb0, 0x02, 0xe6, 0xf4], // mov al, 2; out 0xf4, al
      0xcf, // iret
    ],
    0,
  );
  const boot = async (replay: GuestOptions["replay"]) => {
    const guest = await createGuest({
      kernel: rom,
      abi: "bare",
      mode: "inline",
      bare: { onStuck: "wait" },
      debug: { record: true, digestAtEnd: true },
      replay,
    });
    onTestFinished(() => guest[Symbol.asyncDispose]());
    return guest;
  };
  const guest = await boot(undefined);
  let text = "";
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1");
  });
  const ended = guest.run();
  await expect.poll(() => text).toBe("Z");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(guest.state).toBe("running");
  await guest.nmi();
  const first = await ended;
  expect([first.kind, first.exitCode]).toEqual(["exit", 5]);

  const second = await (await boot(first.recording)).run();
  expect([second.digest, second.stats.instructions]).toEqual([
    first.digest,
    first.stats.instructions,
  ]);
});

test("a write of SLP_EN to ACPI's control register powers off", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  // mov dx, 0x604; mov ax, 0x2000; out dx, ax
  rom.set([0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef], 0);
  const { end } = await run(rom);
  expect([end.kind, end.reason]).toEqual(["power-off", "the guest powered off"]);
});

test("a writer to the serial port waits once 64 KiB lie there unread", async () => {
  const rom = new Uint8Array(0x10000).fill(0xf4);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  // jmp $
  rom.set([0xeb, 0xfe], 0);
  const guest = await createGuest({ kernel: rom, abi: "bare", mode: "inline" });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const ended = guest.run();
  const writer = guest.console.writable.getWriter();
  await writer.write(new Uint8Array(64 << 10));
  let isTaken = false;
  void writer.write(Uint8Array.of(1)).then(() => {
    isTaken = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isTaken).toBe(false);
  await guest.shutdown();
  expect((await ended).kind).toBe("shutdown");
});

const P4 = "pentium4";
/** Name, how many checks pass (undefined where the test prints none and its exit code alone counts), how many processors, and which. */
const CHECKS: readonly (readonly [string, number | undefined, number, Cpu])[] = [
  ["realmode", 127, 1, P4],
  ["taskswitch", undefined, 1, P4],
  ["taskswitch2", 13, 1, P4],
  ["cmpxchg8b", 1, 1, P4],
  ["setjmp", 10, 1, P4],
  ["eventinj", 15, 1, P4],
  ["umip", 11, 1, P4],
  ["umip", 21, 1, "max"],
  ["smap", 18, 1, "max"],
  ["tsc", 6, 1, "max"],
  ["msr", 1053, 1, "core2"],
  ["msr", 1053, 1, "max"],
  // With pentium4 and without MOVBE; both skip what needs an instruction prefix of KVM's own.
  ["emulator", 84, 1, P4],
  ["emulator", 85, 1, "max"],
  ["la57", 1, 1, P4],
  ["vmexit", undefined, 1, P4],
  ["vmexit", undefined, 2, P4],
  ["smptest", 1, 2, P4],
  ["smptest", 1, 3, P4],
  ["init", undefined, 1, P4],
  ["init", undefined, 2, P4],
  ["s3", undefined, 1, P4],
];
/** Exit code of success, and of a suite that found nothing to test: (0 << 1) | 1. */
const SUCCESS = 1;

const missing = KVM_UNIT_TESTS === undefined ? "WASMVISOR_KVM_UNIT_TESTS is not set" : undefined;
describe.skipIf(missing)(`kvm-unit-tests${missing ? ` (${missing})` : ""}`, () => {
  test.each(CHECKS)(
    "%s (%s checks, %s processors, %s)",
    async (name, checks, vcpus, cpu) => {
      const file = join(KVM_UNIT_TESTS ?? "", `${name}.flat`);
      expect(existsSync(file), `${file} exists`).toBe(true);
      const { end, text } = await run(readFileSync(file), {
        memoryBytes: 128 << 20,
        cpu,
        vcpus,
        // init has the firmware start it over; s3 waits for the end of a second.
        onRestart: name === "init" ? "reboot" : "end",
        nsPerInstruction: name === "s3" ? 1000 : 1,
      });
      expect(text).not.toMatch(/^FAIL|Uh, /m);
      expect([end.kind, end.exitCode], text.slice(-2000)).toEqual(["exit", SUCCESS]);
      if (checks !== undefined) expect(text.match(/^PASS/gm)?.length).toBe(checks);
    },
    2 * MINUTE,
  );
});

test.skipIf(TEST386 === undefined)(
  `test386.asm reaches its last progress code${TEST386 === undefined ? " (WASMVISOR_TEST386 is not set)" : ""}`,
  async () => {
    const { end } = await run(readFileSync(TEST386 ?? ""));
    expect(end.reason).toMatch(/last progress code 0xff$/);
  },
  2 * MINUTE,
);
