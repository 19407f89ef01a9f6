/**
 * Linux as a 32-bit Xen PV guest is asked to power off, to restart and to suspend, as a toolstack asks. Kernels with CONFIG_XEN and PAE,
 * built elsewhere and not by us, come from the environment (docs/status.md, "Tests that skip"); without them these tests skip.
 */
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuest, type Guest, type GuestOptions, IgnoredError } from "../../host-ts/index.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const MINUTE = 60_000;
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;

/** Answers each line with its number and the sum of a piece of the disk, while something else counts in the background. */
const SCRIPT = `
mkdir -p /sbin && busybox printf '#!/bin/sh\\nexec /bin/busybox poweroff -f\\n' >/sbin/poweroff && busybox chmod 755 /sbin/poweroff
(n=0; while true; do n=$((n + 1)); echo $n >/count; sleep 1; done) &
echo READY
i=0
while read line; do
  i=$((i + 1))
  echo "LINE $i $line $(dd if=/dev/xvda bs=64k count=1 skip=$i 2>/dev/null | md5sum)"
  [ "$line" = end ] && break
done
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

for (const variable of ["WASMVISOR_XEN_KERNEL_3_10", "WASMVISOR_XEN_KERNEL_4_1"]) {
  const file = process.env[variable] ?? "";
  const missing = file === "" ? variable : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
  const title = `Linux under Xen, ${variable.slice(-4).replace(/^_/, "").replace("_", ".")}`;
  describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
    test(
      "powers off and restarts when it is asked to",
      async () => {
        for (const [request, kind] of [
          ["poweroff", "power-off"],
          ["reboot", "restart"],
        ] as const) {
          const { guest, seen } = await start(file);
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
        const { guest, type, seen } = await start(file);
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
        const { guest, type, seen, text } = await start(file);
        const ended = guest.run();
        await seen("READY");
        for (let round = 1; round <= 3; round++) {
          await guest.suspend();
          expect(guest.state).toBe("suspended");
          await guest.resume();
          await type("go\n");
          await seen(`LINE ${round} go fcd6bcb56c1689fcef28b57c22475bad`);
        }
        await type("end\n");
        expect((await ended).kind).toBe("power-off");
        expect(text()).toMatch(/COUNT \d+/);
        expect(text()).not.toMatch(/WARNING|BUG:|Oops|I\/O error/);
      },
      MINUTE,
    );
  });
}
