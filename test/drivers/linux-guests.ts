/**
 * Real Linux kernels for tests, built elsewhere and not by us. The images come from the environment (docs/status.md, "Tests that
 * skip"); without them the tests skip and say which variable is missing.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, onTestFinished } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildInitrd } from "./initrd.ts";

const PREFIX = "WASMVISOR_LGUEST_KERNEL_";
const KERNELS = ["PAGE", "PAGE_PAE", "PCI", "PCI_PAE"] as const;
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;

/** Time limit of a test that boots Linux, in milliseconds. */
export const MINUTE = 60_000;

/** How a run went. */
export interface Ran {
  readonly end: GuestEnd;
  readonly text: string;
}

/** One kernel and the initial RAM disk, for the tests of one `describe`. */
export interface LinuxKernel {
  /** Path of the kernel image. */
  readonly file: string;
  readonly image: Uint8Array;
  readonly initrd: Uint8Array;
  /** Boots with a job for init; what `react` returns for the text so far is typed once. */
  run(
    job: string,
    options?: Partial<GuestOptions>,
    react?: (text: string) => string | undefined,
  ): Promise<Ran>;
}

/** Runs a group of tests once per kernel that the environment names. The kernel is filled in before the first test. */
export function describeLinux(claim: string, tests: (linux: LinuxKernel) => void): void {
  for (const variety of KERNELS) {
    const file = process.env[PREFIX + variety];
    const missing =
      file === undefined ? PREFIX + variety : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
    const title = `Linux, ${variety.toLowerCase().replace("_", ", ")}: ${claim}`;
    describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
      const linux: { -readonly [Key in keyof LinuxKernel]: LinuxKernel[Key] } = {
        file: file ?? "",
        image: new Uint8Array(),
        initrd: new Uint8Array(),
        run: (...args) => run(linux, ...args),
      };
      beforeAll(() => {
        linux.image = new Uint8Array(readFileSync(linux.file));
        linux.initrd = buildInitrd(readFileSync(BUSYBOX ?? ""));
      });
      tests(linux);
    });
  }
}

async function run(
  { image: kernel, initrd }: LinuxKernel,
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
