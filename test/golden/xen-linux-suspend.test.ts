/**
 * Linux as a 32-bit Xen PV guest is asked to power off, to restart and to suspend, as a toolstack asks. Kernels with CONFIG_XEN and PAE,
 * built elsewhere and not by us, come from the environment (docs/status.md, "Tests that skip"); without them these tests skip.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryBlock } from "../../host-ts/backends/block.ts";
import {
  createGuest,
  type Guest,
  type GuestOptions,
  type GuestStats,
  IgnoredError,
} from "../../host-ts/index.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const MINUTE = 60_000;
const md5 = (bytes: Uint8Array | string): string => createHash("md5").update(bytes).digest("hex");
const numbers = (last: number): string =>
  Array.from({ length: last }, (_, index) => `${index + 1}\n`).join("");
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;

/** Answers each line with its number and the sums of a piece of the disk and of a file on a second one, while something else counts. */
const SCRIPT = `
mkdir -p /sbin && busybox printf '#!/bin/sh\\nexec /bin/busybox poweroff -f\\n' >/sbin/poweroff && busybox chmod 755 /sbin/poweroff
(n=0; while true; do n=$((n + 1)); echo $n >/count; sleep 1; done) &
if [ -b /dev/xvdb ]; then
  busybox mke2fs /dev/xvdb >/dev/null 2>&1 && mount -t ext2 /dev/xvdb /mnt && seq 1 20000 >/mnt/file && sync && echo MOUNTED
  ifconfig eth0 10.0.0.2
fi
echo READY
seq 1 20000 | md5sum >/dev/null
i=0
while read line; do
  i=$((i + 1))
  echo "DISK $(dd if=/dev/xvda bs=64k count=1 skip=$i 2>/dev/null | md5sum)"
  if [ -b /dev/xvdb ]; then
    echo "FILE $(echo 3 >/proc/sys/vm/drop_caches; md5sum </mnt/file)"
    echo $i >>/mnt/lines
    ping -c 1 -W 5 10.0.0.1 >/dev/null && echo ANSWERED
  fi
  echo "LINE $i $line"
  [ "$line" = end ] && break
done
if [ -b /dev/xvdb ]; then umount /mnt && mount -t ext2 /dev/xvdb /mnt && echo LINES $(cat /mnt/lines); fi
echo COUNT $(cat /count)`;

let initrd: Uint8Array | undefined;

/** A guest that runs the script, with a keyboard. */
async function start(file: string, options: Partial<GuestOptions> = {}) {
  const scripts = new Map([["run", new TextEncoder().encode(SCRIPT)]]);
  initrd ??= buildInitrd(readFileSync(BUSYBOX ?? ""), scripts);
  const guest = await createGuest({
    kernel: readFileSync(file),
    initrd,
    abi: "xen-pv",
    commandLine: "console=hvc0 panic=-1 job=extra",
    block: [{ bytes: new Uint8Array(1 << 20) }],
    ...options,
  });
  return attach(guest);
}

function attach(guest: Guest) {
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let text = "";
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
  });
  const keyboard = guest.console.writable.getWriter();
  const type = (keys: string) => keyboard.write(new TextEncoder().encode(keys));
  const seen = (words: string) =>
    expect.poll(() => text, { timeout: MINUTE, interval: 5 }).toContain(words);
  return { guest, type, seen, text: () => text };
}

for (const [variable, vcpus] of [
  ["WASMVISOR_XEN_KERNEL_3_10", 1],
  ["WASMVISOR_XEN_KERNEL_4_1", 1],
  ["WASMVISOR_XEN_KERNEL_SMP", 2],
] as const) {
  const file = process.env[variable] ?? "";
  const missing = file === "" ? variable : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
  const title = `Linux under Xen, ${variable.slice(21).replace("_", ".")}, ${vcpus} vCPU${vcpus > 1 ? "s" : ""}`;
  describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
    test(
      "powers off and restarts when it is asked to",
      async () => {
        for (const [request, kind] of [
          ["poweroff", "power-off"],
          ["reboot", "restart"],
        ] as const) {
          const { guest, seen } = await start(file, { vcpus });
          const ended = guest.run();
          await seen("READY");
          await guest.requestShutdown(request);
          expect((await ended).kind).toBe(kind);
        }
      },
      MINUTE,
    );

    test(
      "that hears of no request in time has it taken back and goes on",
      async () => {
        const { guest, type, seen } = await start(file, { vcpus });
        const ended = guest.run();
        await seen("READY");
        await guest.pause();
        const refused = guest.requestShutdown("poweroff", { timeoutMs: 20 });
        await expect(refused).rejects.toBeInstanceOf(IgnoredError);
        await guest.resume();
        await type("one\n");
        await seen("LINE 1 one");
        await type("end\n");
        expect((await ended).kind).toBe("power-off");
      },
      MINUTE,
    );

    test(
      "suspends and goes on in place, three times, with its disk",
      async () => {
        const { guest, type, seen, text } = await start(file, { vcpus });
        const ended = guest.run();
        await seen("READY");
        for (let round = 1; round <= 3; round++) {
          await guest.suspend();
          expect(guest.state).toBe("suspended");
          await guest.resume();
          await type("go\n");
          await seen(`DISK fcd6bcb56c1689fcef28b57c22475bad  -\nLINE ${round} go`);
        }
        await type("end\n");
        expect((await ended).kind).toBe("power-off");
        expect(text()).toMatch(/COUNT \d+/);
        expect(text()).not.toMatch(/WARNING|BUG:|Oops|I\/O error/);
      },
      MINUTE,
    );

    test(
      "is saved and restored five times, on other machine frames each time, with a mounted disk, network and what it was doing",
      async () => {
        const disk = new MemoryBlock(Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 77) >> 8));
        const files = new MemoryBlock(new Uint8Array(4 << 20));
        const devices = {
          mode: "inline",
          block: [{ backend: disk }, { backend: files }],
          net: [{ peer: "10.0.0.1" }],
        } as const;
        const piece = (round: number) => md5(disk.bytes.subarray(round << 16, (round + 1) << 16));
        let { guest, type, seen, text } = await start(file, { vcpus, ...devices });
        let ended = guest.run();
        await seen("MOUNTED");
        await seen("READY");
        let whole = "";
        for (let round = 1; round <= 5; round++) {
          await guest.suspend({ timeoutMs: MINUTE });
          // What was typed while it stands is in its image.
          if (round % 2 === 1) await type("go\n");
          const image = await guest.save({ compress: round % 2 === 0 });
          await guest.shutdown();
          whole += text();
          const xen = { scramble: 4711 * round };
          ({ guest, type, seen, text } = attach(
            await createGuest({ restore: image, ...devices, xen }),
          ));
          ended = guest.run();
          if (round % 2 === 0) await type("go\n");
          await seen(`LINE ${round} go`);
          expect(text()).toContain(`DISK ${piece(round)}`);
          expect(text()).toContain(`FILE ${md5(numbers(20_000))}`);
          expect(text()).toContain("ANSWERED");
        }
        await type("end\n");
        expect((await ended).kind).toBe("power-off");
        whole += text();
        expect(whole).toContain("LINES 1 2 3 4 5");
        expect(Number(/COUNT (\d+)/.exec(whole)![1])).toBeGreaterThan(1);
        expect(whole).not.toMatch(/WARNING|BUG:|Oops|I\/O error|register_vcpu_info failed/);
      },
      3 * MINUTE,
    );

    test(
      "suspended at an instruction, it leaves the same image and ends in the same state, in other slices and with translations dropped at random",
      async () => {
        const request = Array.from("suspend", (each) => each.charCodeAt(0));
        const input = { kind: "request", device: "shutdown", data: request } as const;
        const first = await start(file, { vcpus, mode: "inline" });
        await first.type("end\n");
        let ready: Promise<GuestStats> | undefined;
        first.guest.on("output", () => {
          if (first.text().includes("READY")) ready ??= first.guest.stats();
        });
        await first.guest.run();
        const atInstruction = (await ready!).instructions + 100_000;
        const replay = [{ life: 0, atInstruction, visit: 0, atNs: 0, input }];
        const once = async (options: Partial<GuestOptions>, chaosSeed = 0) => {
          const debug = { digestAtEnd: true, chaosSeed };
          const { guest, type } = await start(file, { vcpus, replay, ...options, debug });
          const images: string[] = [];
          guest.on("state", (state) => {
            if (state !== "suspended") return;
            void guest.save().then((image) => {
              images.push(md5(image));
              return guest.resume();
            });
          });
          await type("one\nend\n");
          const { digest, kind } = await guest.run();
          expect([kind, images.length]).toEqual(["power-off", 1]);
          return [digest, ...images];
        };
        const plain = await once({});
        expect(await once({ sliceInstructions: 3_331 })).toEqual(plain);
        expect(await once({}, 7)).toEqual(plain);
      },
      3 * MINUTE,
    );
  });
}
