/**
 * Real Linux kernels, built elsewhere and not by us, boot to userland and do their job: both device varieties, with and
 * without PAE. The images come from the environment (docs/status.md, "Tests that skip"); without them these tests skip.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { describeLinux, MINUTE } from "../drivers/linux-guests.ts";

const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");
const numbers = (last: number): Uint8Array =>
  Buffer.from(Array.from({ length: last }, (_, index) => `${index + 1}\n`).join(""));

describeLinux("boots and does its job", (linux) => {
  test(
    "reaches userland, computes what this machine computes, and powers off",
    async () => {
      const { end, text } = await linux.run("loop");
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
      const { end, text } = await linux.run("console", {}, (seen) =>
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
      expect((await linux.run("reboot")).end.kind).toBe("restart");
      const panic = (await linux.run("panic")).end;
      expect(panic.kind).toBe("panic");
      expect(panic.reason).toContain("Attempted to kill init");
    },
    MINUTE,
  );

  test(
    "the same run again ends in the same state: in other slices, on this thread, with translations dropped at random, on the classic path",
    async () => {
      const withDigest = { debug: { digestAtEnd: true } };
      const once = await linux.run("nothing", withDigest);
      const others = [
        withDigest,
        { ...withDigest, sliceInstructions: 1009 },
        { ...withDigest, mode: "inline" as const },
        { debug: { digestAtEnd: true, chaosSeed: 77 } },
        { ...withDigest, lguest: { faultPath: "host" as const } },
        { lguest: { faultPath: "host" as const }, debug: { digestAtEnd: true, chaosSeed: 78 } },
      ];
      for (const options of others) {
        const { end, text } = await linux.run("nothing", options);
        expect(text).toBe(once.text);
        expect(end.stats.instructions).toBe(once.end.stats.instructions);
        expect(end.digest).toBe(once.end.digest);
      }
    },
    5 * MINUTE,
  );

  describe.skipIf(!hasExt2Tools())("with a disk (needs e2fsprogs)", () => {
    const folder = mkdtempSync(join(tmpdir(), "wasmvisor-disk-"));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test(
      "mounts and writes an ext2 image that fsck finds clean",
      async () => {
        const given = numbers(30_000);
        const image = makeExt2(folder, given);
        const { end, text } = await linux.run("disk", { block: [{ file: image }] });
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
