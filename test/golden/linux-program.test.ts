/** Linux in the program as people start it: exit codes, crash reports, pipes, signals, sizes of memory. Needs images and the build. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeLinux, MINUTE } from "../drivers/linux-guests.ts";
import { MAIN, type Started, start } from "../drivers/program.ts";

describeLinux("in the program", (linux) => {
  const folder = mkdtempSync(join(tmpdir(), "wasmvisor-linux-"));
  const initrd = join(folder, "initrd.cpio");
  beforeAll(() => writeFileSync(initrd, linux.initrd));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function launch(job: string, ...args: string[]): Started {
    const words = ["run", "--kernel", linux.file, "--initrd", initrd, "--append", `job=${job}`];
    return start(process.execPath, [MAIN, ...words, ...args]);
  }

  test(
    "an oops that ends in a panic is told in full, by the guest and by the report",
    async () => {
      const { code, stdout, stderr } = await launch("crash").ended;
      expect(stdout).toContain("sysrq_handle_crash");
      expect(stdout).toContain("Kernel panic - not syncing: Fatal exception");
      expect(stderr).toContain("guest panicked: CRASH: Fatal exception");
      expect(stderr).toMatch(/EIP [0-9a-f]{8} {2}CPL 1 {2}<lguest_panic/);
      expect(stderr).toContain("? sysrq_handle_crash");
      expect(code).toBe(3);
    },
    MINUTE,
  );

  test(
    "a reboot is code 5, and with --reboot a fresh boot",
    async () => {
      const once = await launch("reboot").ended;
      expect(once.stderr).toContain("guest asked for a restart");
      expect(once.code).toBe(5);

      const again = launch("reboot", "--reboot");
      await again.prints("guest restarts (2)");
      again.signal("SIGTERM");
      expect((await again.ended).code).toBe(143);
    },
    MINUTE,
  );

  test(
    "a shell obeys a pipe",
    async () => {
      const shell = launch("shell", "--stats");
      shell.type("echo $((6 * 7)) is the answer\npoweroff -f\n");
      const { code, stdout, stderr } = await shell.ended;
      expect(stdout).toContain("\n42 is the answer");
      expect(stderr).toMatch(/instructions +[\d,]+ +[\d.]+ MIPS/);
      for (const name of ["SET_PTE", "SHUTDOWN", "#PF page fault", "system call", "IRQ 0"]) {
        expect(stderr).toContain(name);
      }
      expect(code).toBe(0);
    },
    MINUTE,
  );

  test(
    "a signal ends it tidily",
    async () => {
      const idle = launch("idle", "--time", "real");
      await idle.prints("IDLE");
      idle.signal("SIGINT");
      expect((await idle.ended).code).toBe(130);
    },
    MINUTE,
  );

  test.each(["32M", "256M", "768M"])(
    "boots with %s, also without a worker",
    async (memory) => {
      const { code, stdout } = await launch("nothing", "--memory", memory, "--no-worker").ended;
      expect(stdout).toContain("USERLAND");
      expect(code).toBe(0);
    },
    MINUTE,
  );

  test(
    "refuses a memory that cannot hold the initial RAM disk, and says so",
    async () => {
      const { code, stderr } = await launch("nothing", "--memory", "16M").ended;
      expect(stderr).toMatch(/initrd: \d+ bytes do not fit .*; give the guest more memory/);
      expect(code).toBe(1);
    },
    MINUTE,
  );

  test(
    "refuses a kernel that was cut off, and says where",
    async () => {
      const cut = join(folder, "cut");
      for (const length of [10, 52, 4096, Math.floor(linux.image.length / 2)]) {
        writeFileSync(cut, linux.image.subarray(0, length));
        const { code, stderr } = await start(process.execPath, [MAIN, "run", "--kernel", cut])
          .ended;
        expect(stderr).toMatch(/^wasmvisor: (ELF|bzImage|kernel): /);
        expect(code).toBe(1);
      }
    },
    MINUTE,
  );
});
