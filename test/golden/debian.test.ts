/**
 * Debian's stock i386 kernel, unmodified, on the plain machine: through its PVH entry to the busybox of its initial RAM disk, and out
 * again.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { unpackKernel } from "../../host-ts/boot/payload.ts";
import {
  debianFile,
  missingDebianGuests,
  runStock,
  STOCK_COMMAND_LINE,
  stockBzImage,
} from "../drivers/debian-guests.ts";
import { buildInitrd } from "../drivers/initrd.ts";
import { MAIN, start } from "../drivers/program.ts";

const MINUTE = 60_000;
const numbers = (last: number): string =>
  Array.from({ length: last }, (_, index) => `${index + 1}\n`).join("");
const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
const ownInitrd = () => buildInitrd(readFileSync(debianFile("rd/bin/busybox")));

const title = "Debian's stock kernel on a plain machine";
const why = missingDebianGuests;
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test(
    "finds the machine by its ACPI tables, computes what this machine computes, and powers off",
    async () => {
      const { end, text, lines } = await runStock("", readFileSync(debianFile("initrd.gz")));
      expect(text).toContain("Booting paravirtualized kernel on bare hardware");
      expect(text).toContain("ACPI: Using IOAPIC for interrupt routing");
      expect(text).not.toMatch(/WARNING|ACPI (BIOS )?Error|BUG:|Oops/);
      const at = lines.indexOf("GUEST-USERLAND-UP");
      expect(lines.slice(at, at + 4)).toEqual([
        "GUEST-USERLAND-UP",
        expect.stringMatching(/^Linux \(none\) \S+-686-pae #1 SMP .* i686 GNU\/Linux$/),
        expect.stringMatching(/^tsc/),
        `${md5(numbers(2000))}  -`,
      ]);
      expect(lines.find((line) => /IO-APIC +4-edge +ttyS0$/.test(line))).toBeDefined();
      expect(lines.filter((line) => line !== "").at(-1)).toBe("GUEST-DONE");
      expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
    },
    3 * MINUTE,
  );

  test(
    "without ACPI and APICs it runs on the 8259s and the interval timer, and restarts by triple fault",
    async () => {
      const { end, text } = await runStock("acpi=off nolapic reboot=t job=reboot", ownInitrd(), {
        bare: { onTripleFault: "restart" },
      });
      expect(text).toMatch(/^USERLAND \d/m);
      expect([end.kind, end.reason]).toEqual(["restart", "triple fault"]);
    },
    3 * MINUTE,
  );

  test(
    "starts a second processor and schedules on both",
    async () => {
      const initrd = readFileSync(debianFile("initrd.gz"));
      const { end, text, lines } = await runStock("", initrd, { vcpus: 2 });
      expect(text).toContain("smp: Brought up 1 node, 2 CPUs");
      expect(text).not.toMatch(/WARNING|BUG:|Oops|stall|soft lockup/);
      expect(lines).toContain(`${md5(numbers(2000))}  -`);
      const [, first, second] = /^LOC: +(\d+) +(\d+)/m.exec(text) ?? [];
      expect([Number(first) > 0, Number(second) > 0]).toEqual([true, true]);
      expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
    },
    3 * MINUTE,
  );

  test(
    "the payload of the package's bzImage, packed with xz, unpacks here to what Linux's own script makes of it",
    async () => {
      const unpacked = await unpackKernel(readFileSync(stockBzImage()));
      expect(Buffer.compare(unpacked, readFileSync(debianFile("vmlinux-686-pae")))).toBe(0);
    },
    MINUTE,
  );

  test(
    "the package's bzImage unpacks itself and answers on its serial console, with SMEP, SMAP and UMIP in use and nothing done against speculation",
    async () => {
      const options = { cpu: "max", kernel: readFileSync(stockBzImage()) } as const;
      const { end, text, lines } = await runStock("job=console", ownInitrd(), options, (seen) =>
        seen.includes("READY") ? "hello guest\n" : undefined,
      );
      expect(text).toContain("ACPI: Using IOAPIC for interrupt routing");
      expect(lines).toContain("GOT hello guest");
      expect(text).toContain("User Mode Instruction Prevention (UMIP) activated");
      expect(text).toContain("Spectre V2 : Mitigation: Enhanced / Automatic IBRS");
      expect(text).not.toMatch(/page tables isolation: enabled|Vulnerable|Retpoline/);
      expect(end.kind).toBe("power-off");
    },
    3 * MINUTE,
  );

  test(
    "the same run again ends in the same state, in other slices",
    async () => {
      const initrd = ownInitrd();
      const debug = { digestAtEnd: true };
      const once = await runStock("job=nothing", initrd, { debug });
      const other = await runStock("job=nothing", initrd, { debug, sliceInstructions: 10_007 });
      expect(other.text).toBe(once.text);
      expect(other.end.digest).toBe(once.end.digest);
    },
    3 * MINUTE,
  );

  test(
    "in the program: what a pipe holds before the kernel is up is typed into its shell, and power off is code 0",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "wasmvisor-debian-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const initrd = join(folder, "initrd.cpio");
      writeFileSync(initrd, ownInitrd());
      const append = `${STOCK_COMMAND_LINE} quiet job=shell`;
      const images = ["--kernel", debianFile("vmlinux-686-pae"), "--initrd", initrd];
      const args = [MAIN, "run", "--abi", "bare", ...images, "--append", append];
      const shell = start(process.execPath, args);
      shell.type("echo $((6 * 7)) is the answer\npoweroff -f\n");
      const { code, stdout } = await shell.ended;
      expect(stdout).toContain("\n42 is the answer");
      expect(code).toBe(0);
    },
    3 * MINUTE,
  );

  test("GRUB's image for Xen starts through its PVH entry, and says that it finds no Xen", async () => {
    const { end, text } = await runStock("", Uint8Array.of(0), {
      kernel: readFileSync(debianFile("grub-i386-xen_pvh.bin")),
    });
    expect(text).toContain("Found no Xen signature!");
    expect(end.kind).toBe("deadlocked");
  });
});
