/**
 * Mini-OS for 32-bit Xen PV in its test configuration: threads, timers, events, xenstore, a disk and a network card by a kernel that shares
 * nothing with Linux. Built elsewhere and not by us, it comes from the environment (docs/status.md, "Tests that skip").
 */
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";

const FILE = process.env.WASMVISOR_MINI_OS;
const MINUTE = 60_000;
const DISK_BYTES = 1 << 20;
const SECTOR_BYTES = 512;
const MAC = "52:54:00:12:34:56";
/** Seconds since 1970 when the guest begins. */
const START = 1_700_000_000;

/** A line of its periodic thread. */
const TICK = /^T\(s=/;

/**
 * Runs until it has said `count` lines of a kind, then asks it to power off, or ends it where it cannot do so: its threads take no turns any
 * more, or it has a network card, which it frees twice.
 */
async function run(
  count: number,
  options: Partial<GuestOptions> = {},
  kind = TICK,
): Promise<{ end: GuestEnd; lines: readonly string[] }> {
  const guest = await createGuest({
    kernel: readFileSync(FILE ?? ""),
    abi: "xen-pv",
    memoryBytes: 32 << 20,
    startTimeMs: START * 1000,
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let text = "";
  let isAsked = false;
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    const said = text.split("\n").filter((line) => kind.test(line)).length;
    if (isAsked || said < count) return;
    isAsked = true;
    const canEnd = kind === TICK && options.net === undefined;
    void (canEnd ? guest.requestShutdown("poweroff") : guest.shutdown());
  });
  const end = await guest.run();
  return { end, lines: text.split("\n") };
}

const title = "Mini-OS under Xen";
const isMissing = FILE === undefined;
describe.skipIf(isMissing)(isMissing ? `${title} (WASMVISOR_MINI_OS is not set)` : title, () => {
  test.each([0, 4711])(
    "runs its threads, tells the time each second and powers off when asked (frames scrambled by seed %i)",
    async (scramble) => {
      const { end, lines } = await run(5, { xen: { scramble } });
      expect(lines).toContain("Xen Minimal OS (pv)!");
      expect(lines).toContain("Initialising scheduler");
      expect(lines).toContain("Periodic thread started.");
      const seconds = lines.flatMap((line) => /^T\(s=(\d+) us=\d+\)$/.exec(line)?.[1] ?? []);
      expect(seconds.slice(0, 5).map(Number)).toEqual([0, 1, 2, 3, 4].map((s) => START + s));
      expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
    },
    MINUTE,
  );

  test(
    "reads and writes the store, and finds its card",
    async () => {
      const { lines } = await run(6, {
        net: [{ peer: "10.0.0.1", mac: MAC }],
      });
      const from = lines.indexOf("Doing write test.");
      expect(lines.slice(from, lines.indexOf("(Should have said ENOENT)"))).toEqual([
        "Doing write test.",
        "Write flobble to device/vif/0/flibble...",
        "Success.",
        "Read device/vif/0/flibble...",
        "Read device/vif/0/flibble -> flobble.",
        "Write widget to device/vif/0/flibble...",
        "Success.",
        "Read device/vif/0/flibble...",
        "Read device/vif/0/flibble -> widget.",
        "Doing rm test.",
        "rm device/vif/0/flibble...",
        "Success.",
        "Read device/vif/0/flibble...",
        "Error in xenbus read: ENOENT",
      ]);
      expect(lines).toContain(`mac is ${MAC}`);
    },
    MINUTE,
  );

  test(
    "reads its disk, of which it tells every ten seconds",
    async () => {
      const block = [{ bytes: new Uint8Array(DISK_BYTES), vdev: "hda" }];
      // A disk that answers at once leaves its other threads no turn.
      const { lines } = await run(3, { block, nsPerInstruction: 1000 }, / read, 0 write$/);
      expect(lines).toContain(`${DISK_BYTES / SECTOR_BYTES} sectors of ${SECTOR_BYTES} bytes`);
      const bytes = lines.flatMap((line) => /^(\d+) read, 0 write$/.exec(line)?.[1] ?? []);
      const [first = 0, second = 0, third = 0] = bytes.map(Number);
      expect([second > first, third > second, third % SECTOR_BYTES]).toEqual([true, true, 0]);
    },
    MINUTE,
  );

  test(
    "says the same at the same times in other slices, and with translations dropped at random",
    async () => {
      const said = async (options: Partial<GuestOptions>) => {
        const { lines } = await run(12, options);
        return lines.slice(
          0,
          lines.findIndex((line) => line.startsWith(`T(s=${START + 10} `)),
        );
      };
      const once = await said({});
      expect(once.length).toBeGreaterThan(60);
      expect(await said({ sliceInstructions: 1_009 })).toEqual(once);
      expect(await said({ debug: { chaosSeed: 7 } })).toEqual(once);
    },
    MINUTE,
  );
});
