/** GRUB from Debian's packages as a 32-bit Xen PV guest: it runs its own functional tests and shuts down, as on Xen 4.17. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuest } from "../../host-ts/index.ts";
import { debianFile, missingDebianGuests } from "../drivers/debian-guests.ts";
import { buildPayloadImage } from "../unit/boot/images.ts";

const MINUTE = 60_000;
/** Of the file that its hashsum and cmp commands read; the rest is what they print on real Xen. */
const SCRIPT = [
  "GRUB-ACCEPT-START",
  expect.stringMatching(/^base_addr = 0x0, length = 0x3f[0-9a-f]{5}, available RAM$/),
  expect.stringMatching(/^base_addr = 0x3f[0-9a-f]{5}, length = 0x[0-9a-f]{5}, reserved RAM$/),
  "2026-01-01 00:00:00 Thursday",
  expect.stringMatching(/^[0-9a-f]{64} $/),
  "(memdisk)/blob",
  "Compare file `(memdisk)/blob' with `(memdisk)/blob2':",
  "The files are identical.",
];
const TESTS = [
  "legacy_password_test",
  "pbkdf2_test",
  "exfctest",
  "strtoull_test",
  "sleep_test",
  "setjmp_test",
  "bswap_test",
  "ctz_test",
  "shift_test",
  "div_test",
  "mul_test",
  "cmp_test",
];

const title = "GRUB as a Xen PV guest";
const why = missingDebianGuests;
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test.each([0, 12345])(
    "passes its own tests and shuts down by the calls that it makes on Xen (frames scrambled by seed %i)",
    async (scramble) => {
      const guest = await createGuest({
        kernel: readFileSync(debianFile("grub-i386-xen.bin")),
        abi: "xen-pv",
        // It waits by the clock, in loops.
        nsPerInstruction: 100,
        xen: { scramble },
      });
      onTestFinished(() => guest[Symbol.asyncDispose]());
      let text = "";
      guest.on("output", (bytes) => {
        text += Buffer.from(bytes).toString("latin1");
      });
      const end = await guest.run();
      const lines = text.replaceAll("\r", "").split("\n");
      const at = lines.findIndex((line) => line.endsWith("GRUB-ACCEPT-START"));
      expect(lines[at - 2]).toContain("Welcome to GRUB!");
      expect(["GRUB-ACCEPT-START", ...lines.slice(at + 1, at + SCRIPT.length)]).toEqual(SCRIPT);
      const passed = TESTS.flatMap((name) => [`${name}:`, `${name}: PASS`]);
      expect(lines.slice(at + SCRIPT.length)).toEqual([
        ...passed,
        "ALL TESTS PASSED",
        "GRUB-ACCEPT-DONE",
        "",
      ]);
      expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
      expect(Object.keys({ ...end.stats.coreCalls, ...end.stats.hostCalls }).sort()).toEqual([
        "event_channel_op",
        "grant_table_op",
        "mmu_update",
        "mmuext_op",
        "sched_op",
        "update_va_mapping",
        "vm_assist",
      ]);
    },
    4 * MINUTE,
  );

  describe.each([
    ["xz", ["-c", "--check=crc32", "--x86", "--lzma2=dict=32MiB"]],
    ["zstd", ["-c", "-q", "--ultra", "-22"]],
    ["lzma", ["-c", "-9"]],
  ])("as the payload of a bzImage, packed with %s as Linux packs it", (program, args) => {
    const image = why ? new Uint8Array(0) : readFileSync(debianFile("grub-i386-xen.bin"));
    const { status, stdout } = spawnSync(program, args, { input: image, maxBuffer: 2 ** 28 });
    const isPacked = status === 0;
    test.skipIf(!isPacked)(
      isPacked ? "it starts" : `it starts (there is no ${program})`,
      async () => {
        const kernel = buildPayloadImage(stdout, image.length);
        const guest = await createGuest({ kernel, abi: "xen-pv", nsPerInstruction: 100 });
        onTestFinished(() => guest[Symbol.asyncDispose]());
        let text = "";
        guest.on("output", (bytes) => {
          text += Buffer.from(bytes).toString("latin1");
          if (text.includes("Welcome to GRUB!")) void guest.shutdown();
        });
        expect((await guest.run()).kind).toBe("shutdown");
      },
      MINUTE,
    );
  });
});
