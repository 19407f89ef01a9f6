/**
 * Linux as a 32-bit Xen PV guest with a disk and network cards: its own front ends against our back ends. Kernels with CONFIG_XEN and PAE,
 * built elsewhere and not by us, come from the environment (docs/status.md, "Tests that skip"); without them these tests skip.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryBlock } from "../../host-ts/backends/block.ts";
import { createGuest, type Guest, type GuestOptions } from "../../host-ts/index.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const MINUTE = 60_000;
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;
const md5 = (bytes: Uint8Array | string): string => createHash("md5").update(bytes).digest("hex");
const numbers = (last: number): string =>
  Array.from({ length: last }, (_, index) => `${index + 1}\n`).join("");

/** An initial RAM disk that runs a script. Two builds of the same differ in their inode numbers. */
function initrdFor(script: string): Uint8Array {
  const scripts = new Map([["run", new TextEncoder().encode(script)]]);
  return buildInitrd(readFileSync(BUSYBOX ?? ""), scripts);
}

/** A guest that runs a script, and what it printed so far. */
async function start(
  file: string,
  script: string | Uint8Array,
  options: Partial<GuestOptions>,
): Promise<{ guest: Guest; text: () => string }> {
  const guest = await createGuest({
    kernel: readFileSync(file),
    initrd: typeof script === "string" ? initrdFor(script) : script,
    abi: "xen-pv",
    commandLine: "console=hvc0 panic=-1 job=extra",
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let text = "";
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
  });
  return { guest, text: () => text };
}

for (const variable of ["WASMVISOR_XEN_KERNEL_3_10", "WASMVISOR_XEN_KERNEL_4_1"]) {
  const file = process.env[variable] ?? "";
  const missing = file === "" ? variable : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
  const title = `Linux under Xen with devices, ${variable.slice(-4).replace(/^_/, "").replace("_", ".")}`;
  describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
    test.each([0, 4711])(
      "reads and writes its disk (frames scrambled by seed %i)",
      async (scramble) => {
        const disk = new MemoryBlock(Uint8Array.from({ length: 4 << 20 }, (_, i) => (i * 77) >> 8));
        const before = md5(disk.bytes);
        const script = `
          dd if=/dev/xvda bs=64k 2>/dev/null | md5sum
          seq 1 200000 >/new
          dd if=/new of=/dev/xvda bs=32k seek=2 conv=fsync 2>/dev/null && echo WRITTEN`;
        const options = { mode: "inline", block: [{ backend: disk }], xen: { scramble } } as const;
        const { guest, text } = await start(file, script, options);
        const end = await guest.run();
        expect(text()).toContain(before);
        expect(text()).toContain("WRITTEN");
        expect(text()).not.toMatch(/WARNING|BUG:|Oops|I\/O error/);
        const written = numbers(200_000);
        expect(md5(disk.bytes.subarray(64 << 10, (64 << 10) + written.length))).toBe(md5(written));
        expect(end.kind).toBe("power-off");
      },
      MINUTE,
    );

    test(
      "finds disks and partitions by the names that they were given",
      async () => {
        const names = ["xvda1", "sdc", "d1p2"];
        const block = names.map((vdev, i) => ({
          bytes: new Uint8Array(1 << 20).fill(65 + i),
          vdev,
        }));
        const script = `for d in xvda1 xvdc xvdb2; do
          echo DISK $d $(dd if=/dev/$d bs=1 count=1 2>/dev/null); done`;
        const { guest, text } = await start(file, script, { block });
        await guest.run();
        const found = [...text().matchAll(/^DISK (\S+ .)$/gm)].map(([, disk]) => disk);
        expect(found).toEqual(["xvda1 A", "xvdc B", "xvdb2 C"]);
      },
      MINUTE,
    );

    test(
      "is refused writes to a disk that is read-only",
      async () => {
        const block = [{ bytes: new Uint8Array(1 << 20), access: "ro" }] as const;
        const script = "dd if=/dev/zero of=/dev/xvda bs=4k count=1 && echo WRITTEN\ntrue";
        const { guest, text } = await start(file, script, { block });
        await guest.run();
        expect(text()).toMatch(/Operation not permitted|Read-only/);
        expect(text()).not.toContain("WRITTEN");
      },
      MINUTE,
    );

    test(
      "pings the small host, and every run ends in the same state",
      async () => {
        const initrd = initrdFor("ifconfig eth0 10.0.0.2 && ping -c 3 -W 5 10.0.0.1");
        const once = async () => {
          const { guest, text } = await start(file, initrd, {
            net: [{ peer: "10.0.0.1" }],
            block: [{ bytes: new Uint8Array(1 << 20) }],
            debug: { digestAtEnd: true },
          });
          const { digest } = await guest.run();
          expect(text()).toContain("3 packets received");
          return [text(), digest];
        };
        expect(await once()).toEqual(await once());
      },
      2 * MINUTE,
    );

    test(
      "a front end lets go of its disk and takes it again, and finds it as it left it",
      async () => {
        const script = `
          mkdir /sys; mount -t sysfs sys /sys
          seq 1 1000 >/new; dd if=/new of=/dev/xvda conv=fsync 2>/dev/null
          drive() { echo $1 >/sys/bus/xen/drivers/$2/$3; }
          for round in 1 2 3; do
            drive vbd-51712 vbd unbind
            echo UNBOUND $round; read line
            drive vbd-51712 vbd bind
            sleep 2
            dd if=/dev/xvda bs=3893 count=1 2>/dev/null | md5sum
          done`;
        const options = {
          block: [{ bytes: new Uint8Array(1 << 20) }],
          xen: { storeAtEnd: true },
        };
        const { guest, text } = await start(file, script, options);
        const keyboard = guest.console.writable.getWriter();
        const ended = guest.run();
        for (let round = 1; round <= 3; round++) {
          await expect.poll(text, { timeout: MINUTE }).toContain(`UNBOUND ${round}`);
          const backend = "/local/domain/0/backend/vbd/1/51712/state";
          await expect.poll(() => guest.xenstore.read(backend)).toBe("6");
          // What a toolstack does for front ends that do not say that they begin anew.
          await guest.xenstore.write("device/vbd/51712/state", "1");
          await keyboard.write(new TextEncoder().encode("go\n"));
        }
        const end = await ended;
        expect(text().split(md5(numbers(1000))).length - 1).toBe(3);
        expect(text()).not.toMatch(/BUG:|Oops/);
        expect(end.kind).toBe("power-off");
        const errors = end.xenstore?.filter(({ path }) => /^.local.domain.\d.error/.test(path));
        expect(errors?.map(({ value }) => value).join("")).toBe("");
      },
      2 * MINUTE,
    );

    test(
      "two guests on a hub send each other a file over TCP, with checksums left to the cards",
      async () => {
        const join = (name: string) =>
          ({ name, time: "real", net: [{ hub: `xen lan of ${file}` }] }) as const;
        const serve = "ifconfig eth0 10.0.0.1\necho SERVING\nbusybox nc -l -p 5000 | md5sum";
        const server = await start(file, serve, join("server"));
        const serverEnd = server.guest.run();
        await expect.poll(server.text, { timeout: MINUTE }).toContain("SERVING");
        const send = "ifconfig eth0 10.0.0.2\nseq 1 200000 | busybox nc 10.0.0.1 5000 && echo SENT";
        const client = await start(file, send, join("client"));
        await client.guest.run();
        await serverEnd;
        expect(client.text()).toContain("SENT");
        expect(server.text()).toContain(md5(numbers(200_000)));
      },
      3 * MINUTE,
    );
  });
}
