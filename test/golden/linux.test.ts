/**
 * Real Linux kernels, built elsewhere and not by us, boot to userland and do their job: both device varieties, with and
 * without PAE. The images come from the environment (docs/status.md, "Tests that skip"); without them these tests skip.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const PREFIX = "WASMVISOR_LGUEST_KERNEL_";
const KERNELS = ["PAGE", "PAGE_PAE", "PCI", "PCI_PAE"] as const;
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;
const MINUTE = 60_000;

const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");
const numbers = (last: number): Uint8Array =>
  Buffer.from(Array.from({ length: last }, (_, index) => `${index + 1}\n`).join(""));

interface Ran {
  end: GuestEnd;
  text: string;
}

for (const variety of KERNELS) {
  const file = process.env[PREFIX + variety];
  const missing =
    file === undefined ? PREFIX + variety : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
  const title = `Linux, ${variety.toLowerCase().replace("_", ", ")}`;

  describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
    let kernel: Uint8Array;
    let initrd: Uint8Array;
    beforeAll(() => {
      kernel = new Uint8Array(readFileSync(file ?? ""));
      initrd = buildInitrd(readFileSync(BUSYBOX ?? ""));
    });

    /** Boots with a job for init; what `react` returns for the text so far is typed once. */
    async function run(
      job: string,
      options: Partial<GuestOptions> = {},
      react: (text: string) => string | undefined = () => undefined,
    ): Promise<Ran> {
      const guest = await createGuest({ kernel, initrd, commandLine: `job=${job}`, ...options });
      onTestFinished(() => guest[Symbol.asyncDispose]());
      const keyboard = guest.console.writable.getWriter();
      let text = "";
      let hasTyped = false;
      guest.on("output", (bytes) => {
        text += Buffer.from(bytes).toString("latin1");
        const keys = hasTyped ? undefined : react(text);
        if (keys === undefined) return;
        hasTyped = true;
        void keyboard.write(new TextEncoder().encode(keys));
      });
      return { end: await guest.run(), text };
    }

    test(
      "reaches userland, computes what this machine computes, and powers off",
      async () => {
        const { end, text } = await run("loop");
        expect(text).toMatch(/Booting paravirtualized kernel on lguest/);
        expect(text).toMatch(/USERLAND \d+\.\d+/);
        expect(text).toContain("LOOP 5");
        expect(text).toContain(md5(numbers(20_000)));
        expect(end).toMatchObject({ kind: "power-off", crash: undefined });
      },
      MINUTE,
    );

    test(
      "answers on the console",
      async () => {
        const { end, text } = await run("console", {}, (seen) =>
          seen.includes("READY") ? "hello guest\n" : undefined,
        );
        expect(text).toContain("GOT hello guest");
        expect(end.kind).toBe("power-off");
      },
      MINUTE,
    );

    test(
      "a restart and a panic are told apart from a power off",
      async () => {
        expect((await run("reboot")).end.kind).toBe("restart");
        const panic = (await run("panic")).end;
        expect(panic.kind).toBe("panic");
        expect(panic.reason).toContain("Attempted to kill init");
      },
      MINUTE,
    );

    test(
      "the same run twice is the same, also when cached translations are dropped at random",
      async () => {
        const once = await run("nothing");
        const twice = await run("nothing");
        const chaos = await run("nothing", { debug: { chaosSeed: 77 } });
        expect(twice.text).toBe(once.text);
        expect(chaos.text).toBe(once.text);
        expect(chaos.end.stats.instructions).toBe(once.end.stats.instructions);
      },
      3 * MINUTE,
    );

    describe.skipIf(!hasExt2Tools())("with a disk (needs e2fsprogs)", () => {
      const folder = mkdtempSync(join(tmpdir(), "wasmvisor-disk-"));
      afterAll(() => rmSync(folder, { recursive: true, force: true }));

      test(
        "mounts and writes an ext2 image that fsck finds clean",
        async () => {
          const given = numbers(30_000);
          const image = makeExt2(folder, given);
          const { end, text } = await run("disk", { block: [{ file: image }] });
          expect(text).toContain(`${md5(given)}  /mnt/given`);
          expect(text).toContain("UNMOUNTED");
          expect(end.kind).toBe("power-off");
          execFileSync("e2fsck", ["-fn", image], { stdio: "pipe" });
          expect(md5(fileInExt2(image, "/copy"))).toBe(md5(given));
          expect(md5(fileInExt2(image, "/new"))).toBe(md5(numbers(5000)));
        },
        MINUTE,
      );
    });
  });
}

function hasExt2Tools(): boolean {
  try {
    execFileSync("mke2fs", ["-V"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** An image of 8 MiB whose one file is `/given`. */
function makeExt2(folder: string, given: Uint8Array): string {
  const content = join(folder, "content");
  mkdirSync(content);
  writeFileSync(join(content, "given"), given);
  const image = join(folder, "disk.img");
  execFileSync("mke2fs", ["-q", "-t", "ext2", "-b", "1024", "-d", content, image, "8192"]);
  return image;
}

function fileInExt2(image: string, path: string): Uint8Array {
  return execFileSync("debugfs", ["-R", `cat ${path}`, image], {
    stdio: ["ignore", "pipe", "ignore"],
  });
}
