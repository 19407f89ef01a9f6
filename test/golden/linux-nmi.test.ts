/** Linux takes the NMIs that the Host sends: it tells of an unknown one, counts them, and panics on one where it was told to. */
import { expect, onTestFinished, test } from "vitest";
import { createGuest, type Guest, type GuestOptions } from "../../host-ts/index.ts";
import { describeLinux, MINUTE } from "../drivers/linux-guests.ts";

describeLinux("non-maskable interrupts", (linux) => {
  async function boot(commandLine: string, options: Partial<GuestOptions> = {}) {
    const { image: kernel, initrd } = linux;
    const guest = await createGuest({ kernel, initrd, commandLine, ...options });
    onTestFinished(() => guest[Symbol.asyncDispose]());
    let text = "";
    guest.on("output", (bytes) => {
      text += Buffer.from(bytes).toString("latin1");
    });
    return { guest, text: () => text };
  }
  const type = (guest: Guest, keys: string) =>
    guest.console.writable.getWriter().write(new TextEncoder().encode(keys));

  test(
    "an unknown one is told and counted, and the kernel goes on",
    async () => {
      const { guest, text } = await boot("job=nmi");
      const ended = guest.run();
      await expect.poll(text, { timeout: MINUTE }).toContain("READY");
      await guest.nmi();
      await expect.poll(text, { timeout: MINUTE }).toContain("Dazed and confused, but trying");
      await type(guest, "\n");
      const end = await ended;
      expect(text()).toContain("Uhhuh. NMI received for unknown reason 3f on CPU 0.");
      expect(text()).toMatch(/NMI: +1 +Non-maskable interrupts/);
      expect([end.kind, end.stats.traps[2]]).toEqual(["power-off", 1]);
    },
    MINUTE,
  );

  test(
    "one that it was told to panic on says where the kernel was",
    async () => {
      const { guest, text } = await boot("job=idle unknown_nmi_panic");
      const ended = guest.run();
      await expect.poll(text, { timeout: MINUTE }).toContain("IDLE");
      await guest.nmi();
      const end = await ended;
      expect(end.kind).toBe("panic");
      expect(end.reason).toContain("NMI: Not continuing");
      expect(text()).toMatch(/Call Trace:/);
    },
    MINUTE,
  );

  test(
    "periodic ones from the first instruction on do not disturb it",
    async () => {
      const { guest, text } = await boot("job=loop quiet loglevel=1", { nmiEvery: 1_000_003 });
      const end = await guest.run();
      expect(text()).toContain("LOOP 5");
      expect(end.kind).toBe("power-off");
      const delivered = end.stats.traps[2] ?? 0;
      const lost = end.stats.core["NMIs without a handler"] ?? 0;
      expect(delivered + lost).toBe(Math.floor(end.stats.instructions / 1_000_003));
      expect(delivered).toBeGreaterThan(50);
    },
    MINUTE,
  );
});
