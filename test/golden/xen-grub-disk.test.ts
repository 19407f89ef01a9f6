/**
 * GRUB from Debian's packages as a 32-bit Xen PV guest that reads its disk: a front end of the block protocol that is not ours. Its image is
 * put together here, from the same packages as the others.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryBlock, OverlayBlock } from "../../host-ts/backends/block.ts";
import { createGuest } from "../../host-ts/index.ts";
import { debianFile, missingDebianGuests } from "../drivers/debian-guests.ts";

const MINUTE = 60_000;
const SCRIPT = `
ls
cat (xen/xvda)/hello
hashsum --hash sha256 (xen/xvdb)/blob
echo DISKS-DONE
halt
`;
const MODULES = ["ls", "tar", "echo", "halt", "cat", "hashsum", "gcry_sha256"];

/** A tar archive of one file, which GRUB reads as a file system. */
function archive(name: string, content: Uint8Array): Uint8Array {
  const disk = new Uint8Array(512 * (3 + Math.ceil(content.length / 512)));
  const text = (at: number, value: string) => disk.set(new TextEncoder().encode(value), at);
  text(0, name);
  text(100, "0000644\0");
  text(124, `${content.length.toString(8).padStart(11, "0")}\0`);
  text(148, " ".repeat(8));
  text(156, "0");
  text(257, "ustar\x0000");
  const sum = disk.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  text(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  disk.set(content, 512);
  return disk;
}

function grubImage(): Uint8Array {
  const packages = join(debianFile("grub-i386-xen.bin"), "../x");
  const folder = mkdtempSync(join(tmpdir(), "grub-"));
  try {
    const [script, image] = [join(folder, "grub.cfg"), join(folder, "grub.bin")];
    writeFileSync(script, SCRIPT);
    const modules = join(packages, "grub-xen-bin/usr/lib/grub/i386-xen");
    const args = ["-d", modules, "-O", "i386-xen", "-p", "(xen/xvda)/", "-c", script, "-o", image];
    execFileSync(join(packages, "grub-common/usr/bin/grub-mkimage"), [...args, ...MODULES], {
      env: { LD_LIBRARY_PATH: join(packages, "libdevmapper1.02.1/lib/x86_64-linux-gnu") },
    });
    return readFileSync(image);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const title = "GRUB as a Xen PV guest with disks";
const why = missingDebianGuests;
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test.each([0, 777])(
    "finds them in xenstore and reads files through rings and grants (frames scrambled by seed %i)",
    async (scramble) => {
      const blob = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 2654435761) >>> 24);
      const first = new MemoryBlock(archive("hello", new TextEncoder().encode("here is a disk\n")));
      const second = new OverlayBlock(new MemoryBlock(archive("blob", blob)));
      const guest = await createGuest({
        kernel: grubImage(),
        abi: "xen-pv",
        mode: "inline",
        nsPerInstruction: 100,
        block: [{ backend: first }, { backend: second }],
        xen: { scramble },
      });
      onTestFinished(() => guest[Symbol.asyncDispose]());
      let text = "";
      guest.on("output", (bytes) => {
        text += Buffer.from(bytes).toString("latin1");
      });
      const end = await guest.run();
      expect(text).toContain("(xen/xvda) (xen/xvdb)");
      expect(text).toContain("here is a disk");
      expect(text).toContain(createHash("sha256").update(blob).digest("hex"));
      expect(text).toContain("DISKS-DONE");
      expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
    },
    MINUTE,
  );
});
