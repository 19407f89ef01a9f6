/**
 * Linux as a 32-bit Xen PV guest boots to userland and does its job. Kernels with CONFIG_XEN and PAE, built elsewhere and not by us, come
 * from the environment (docs/status.md, "Tests that skip"); without them these tests skip.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const MINUTE = 60_000;
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;
let initrd: Uint8Array | undefined;
const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
const numbers = (last: number): string =>
  Array.from({ length: last }, (_, index) => `${index + 1}\n`).join("");

async function run(
  file: string,
  job: string,
  options: Partial<GuestOptions> = {},
  answer?: (text: string) => string | undefined,
): Promise<{ end: GuestEnd; text: string }> {
  // The time is in it: the same run wants the same one.
  initrd ??= buildInitrd(readFileSync(BUSYBOX ?? ""));
  const guest = await createGuest({
    kernel: readFileSync(file),
    initrd,
    abi: "xen-pv",
    commandLine: `console=hvc0 panic=-1 job=${job}`,
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const keyboard = guest.console.writable.getWriter();
  let text = "";
  let hasTyped = false;
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    const keys = hasTyped ? undefined : answer?.(text);
    if (keys === undefined) return;
    hasTyped = true;
    void keyboard.write(new TextEncoder().encode(keys));
  });
  return { end: await guest.run(), text };
}

for (const variable of ["WASMVISOR_XEN_KERNEL_3_10", "WASMVISOR_XEN_KERNEL_4_1"]) {
  const file = process.env[variable] ?? "";
  const missing = file === "" ? variable : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
  const title = `Linux under Xen, ${variable.slice(-4).replace(/^_/, "").replace("_", ".")}`;
  describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
    test.each([0, 4711])(
      "reaches userland, computes what this machine computes, and powers off (frames scrambled by seed %i)",
      async (scramble) => {
        const { end, text } = await run(file, "loop", { xen: { scramble } });
        expect(text).toMatch(/Booting paravirtualized kernel on Xen/);
        expect(text).not.toMatch(/WARNING|BUG:|Oops/);
        expect(text).toContain("LOOP 5");
        expect(text).toContain(md5(numbers(20_000)));
        expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
      },
      MINUTE,
    );

    test.skipIf(variable.endsWith("3_10"))(
      "has its events in queues, and as bits where there are none",
      async () => {
        const queues = await run(file, "loop");
        const bits = await run(file, "loop", { xen: { fifo: false } });
        expect(queues.text).toContain("xen:events: Using FIFO-based ABI");
        expect(bits.text).toContain("xen:events: Using 2-level ABI");
        expect(bits.text).toContain("LOOP 5");
        expect(bits.end.kind).toBe("power-off");
      },
      MINUTE,
    );

    test(
      "answers on the console",
      async () => {
        const { end, text } = await run(file, "console", {}, (seen) =>
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
        expect((await run(file, "reboot")).end.kind).toBe("restart");
        const { end, text } = await run(file, "panic");
        expect(end.kind).toBe("panic");
        expect(text).toContain("Attempted to kill init");
      },
      MINUTE,
    );

    test(
      "the same run again ends in the same state: in other slices, with translations dropped at random, on the classic path",
      async () => {
        const digestOf = async (options: Partial<GuestOptions>, chaosSeed = 0) =>
          (await run(file, "nothing", { ...options, debug: { digestAtEnd: true, chaosSeed } })).end
            .digest;
        const once = await digestOf({});
        expect(await digestOf({ sliceInstructions: 3_331 })).toBe(once);
        expect(await digestOf({}, 7)).toBe(once);
        const host = { xen: { faultPath: "host" as const } };
        expect(await digestOf(host)).toBe(once);
        expect(await digestOf({ ...host, sliceInstructions: 1_009 }, 8)).toBe(once);
      },
      2 * MINUTE,
    );
  });
}
