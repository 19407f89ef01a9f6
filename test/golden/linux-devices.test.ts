/** What Linux does with our disks, network, terminal, random numbers and clocks. Needs images (docs/status.md). */
import { expect, onTestFinished, test } from "vitest";
import { type BlockBackend, createGuest, type GuestOptions } from "../../host-ts/index.ts";
import { describeLinux, type LinuxKernel, MINUTE } from "../drivers/linux-guests.ts";

const IRQ_VECTOR = 0x20;
const SYSCALL_VECTOR = 0x80;
const SECTOR_BYTES = 512;
const SECTORS = 64;

/** A disk that remembers what was asked of it. */
class WatchedDisk implements BlockBackend {
  readonly sectors = SECTORS;
  readonly readOnly = false;
  readonly asked: string[] = [];
  read(_sector: number, target: Uint8Array): void {
    target.fill(0);
  }
  write(sector: number, source: Uint8Array): void {
    this.asked.push(`write ${sector} ${source.length}`);
  }
  flush(): void {
    this.asked.push("flush");
  }
  close(): void {}
}

describeLinux("devices and clocks", (linux) => {
  test(
    "a flush reaches the disk after the writes before it",
    async () => {
      const backend = new WatchedDisk();
      const { end } = await linux.run("flush", { block: [{ backend }], mode: "inline" });
      expect(end.kind).toBe("power-off");
      const written = backend.asked.findIndex((what) => what.startsWith("write 0 "));
      expect(written).toBeGreaterThanOrEqual(0);
      expect(backend.asked.indexOf("flush")).toBeGreaterThan(written);
    },
    MINUTE,
  );

  test(
    "an overlay takes writes and a read-only disk refuses them; the bytes given stay as they were",
    async () => {
      for (const access of ["overlay", "ro"] as const) {
        const bytes = new Uint8Array(SECTORS * SECTOR_BYTES).fill(0x77);
        const { end } = await linux.run("flush", { block: [{ bytes, access }], mode: "inline" });
        expect(end.kind).toBe("power-off");
        expect(bytes.every((byte) => byte === 0x77)).toBe(true);
      }
    },
    MINUTE,
  );

  test(
    "random numbers repeat with their seed",
    async () => {
      const draw = async (seed: number) =>
        /RNG (\S+)/.exec((await linux.run("rng", { seed })).text)?.[1];
      const [first, again, other] = [await draw(1), await draw(1), await draw(2)];
      expect(first).toMatch(/^[0-9a-f]{32}$/);
      expect(again).toBe(first);
      expect(other).not.toBe(first);
    },
    MINUTE,
  );

  test(
    "the size of the terminal is known at the first look and follows a resize",
    async () => {
      const options = { commandLine: "job=size", terminal: { columns: 101, rows: 33 } };
      const session = await start(linux, options);
      await session.prints("READY");
      session.type("\n");
      await session.prints("SIZE 33 101");
      await session.guest.resize(120, 50);
      await expect
        .poll(() => {
          session.type("\n");
          return session.text();
        })
        .toContain("SIZE 50 120");
    },
    MINUTE,
  );

  test(
    "a resize does no harm to a guest that was told no size",
    async () => {
      const session = await start(linux, { commandLine: "job=size" });
      await session.prints("READY");
      await session.guest.resize(120, 50);
      session.type("\n");
      await session.prints("SIZE");
      expect(session.text()).not.toMatch(/BUG|Oops|panic/);
    },
    MINUTE,
  );

  test(
    "two guests on a hub ping each other",
    async () => {
      const join = (job: string) => ({
        name: job,
        commandLine: `job=${job}`,
        time: "real" as const,
        net: [{ hub: `lan of ${linux.file}` }],
      });
      const server = await start(linux, join("serve"));
      await server.prints("SERVING");
      const client = await start(linux, join("ping"));
      await client.ended;
      expect(client.text()).toContain("3 packets received");
      expect(client.text()).toContain("ANSWERED");
    },
    MINUTE,
  );

  test(
    "a guest pings the small host, at the same guest times in every run",
    async () => {
      const ping = () =>
        linux.run("ping", { net: [{ peer: "10.0.0.1" }], debug: { digestAtEnd: true } });
      const first = await ping();
      expect(first.text).toContain("3 packets received");
      const second = await ping();
      expect([second.text, second.end.digest]).toEqual([first.text, first.end.digest]);
    },
    MINUTE,
  );

  test(
    "sleep 1 takes a second and the date is right: of the start time in virtual time, of the clock in real time",
    async () => {
      const dates = async (options: Partial<GuestOptions>) => {
        const startMs = performance.now();
        const { text } = await linux.run("time", options);
        const seconds = [...text.matchAll(/DATE (\d+)/g)].map(([, at]) => Number(at));
        return { before: seconds[0] ?? 0, after: seconds[1] ?? 0, ms: performance.now() - startMs };
      };
      const virtual = await dates({ startTimeMs: 1_234_567_890_000 });
      expect(virtual.before).toBe(1_234_567_890);
      expect(virtual.after - virtual.before).toBe(1);

      const real = await dates({ time: "real" });
      expect(Math.abs(real.after - Date.now() / 1000)).toBeLessThan(3);
      expect(real.after - real.before).toBeGreaterThanOrEqual(1);
      expect(real.ms).toBeGreaterThan(1000);
    },
    MINUTE,
  );

  test(
    "a guest that idles in real time leaves the processor alone",
    async () => {
      const session = await start(linux, { commandLine: "job=idle", time: "real", mode: "inline" });
      await session.prints("IDLE");
      // Deferred work of the boot settles first.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1000).toBeLessThan(300);
    },
    MINUTE,
  );

  test(
    "asks for its interrupts only while one waits",
    async () => {
      const { stats } = (await linux.run("loop")).end;
      // A Host that never clears irq_pending sees half of all calls spent on this one.
      const asked = stats.hostCalls.SEND_INTERRUPTS ?? 0;
      const delivered = Object.entries(stats.traps)
        .filter(([vector]) => Number(vector) >= IRQ_VECTOR && Number(vector) < SYSCALL_VECTOR)
        .reduce((sum, [, count]) => sum + count, 0);
      expect(asked).toBeLessThanOrEqual(2 * delivered);
    },
    MINUTE,
  );
});

/** A guest that a test talks to; it ends with the test. */
async function start(linux: LinuxKernel, options: Partial<GuestOptions>) {
  const guest = await createGuest({ kernel: linux.image, initrd: linux.initrd, ...options });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const keyboard = guest.console.writable.getWriter();
  let text = "";
  guest.on("output", (bytes) => (text += Buffer.from(bytes).toString("latin1")));
  return {
    guest,
    ended: guest.run(),
    text: () => text,
    prints: (what: string) => expect.poll(() => text, { timeout: MINUTE / 3 }).toContain(what),
    type: (keys: string) => void keyboard.write(new TextEncoder().encode(keys)),
  };
}
