/**
 * The microkernel that suspends itself, asked to from outside: cancelled, and saved and restored as a domain with other machine frames;
 * and images of it that somebody changed, which are refused or run, whatever they say.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { PGT_L1 } from "../../abi/xen-memory.ts";
import {
  createGuest,
  type Guest,
  type GuestEnd,
  type GuestOptions,
  type HypervisorError,
} from "../../host-ts/index.ts";
import { decodeImage, encodeImage } from "../../host-ts/xen/image/format.ts";
import { Xenstore } from "../../host-ts/xen/xenstore/xenstore.ts";
import { buildXenMicrokernel, findGcc } from "../../tools/guest-build.ts";

const gcc = findGcc();
const skipReason = "missing" in gcc ? gcc.missing : undefined;
const WHOLE = { mode: "inline", debug: { digestAtEnd: true } } as const;

function watch(guest: Guest) {
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let output = "";
  guest.on("output", (bytes) => {
    output += String.fromCharCode(...bytes);
  });
  return () => output;
}

const microkernel = () =>
  ({
    kernel: readFileSync(buildXenMicrokernel("suspend")),
    abi: "xen-pv",
    memoryBytes: 8 << 20,
  }) as const;

/** The microkernel, asked to suspend itself before it begins, where it stands suspended. */
async function suspended(options: Partial<GuestOptions> = {}) {
  const guest = await createGuest({ ...microkernel(), ...WHOLE, ...options });
  const output = watch(guest);
  const isSuspended = guest.suspend();
  const ended = guest.run();
  await Promise.race([isSuspended, ended]);
  expect(guest.state, output()).toBe("suspended");
  return { guest, output, ended };
}

async function restored(restore: Uint8Array, options: Partial<GuestOptions> = {}) {
  const guest = await createGuest({ restore, ...WHOLE, ...options });
  const output = watch(guest);
  return { end: await guest.run(), output: output() };
}

function expectSuccess(end: GuestEnd, output: string, how: string): void {
  expect({ kind: end.kind, reason: end.reason, output }).toMatchObject({ kind: "power-off" });
  expect(output).toContain(how);
  expect(output).toMatch(/Test result: SUCCESS\s*$/);
}

describe.skipIf(skipReason)("a domain that suspends itself", () => {
  it("goes on in place and finds its suspension cancelled", async () => {
    const { guest, output, ended } = await suspended();
    await guest.resume();
    expectSuccess(await ended, output(), "cancelled");
  });

  it("unasked is answered at once, or stands suspended where that is wanted", async () => {
    for (const onSuspend of ["cancel", "stand"] as const) {
      const guest = await createGuest({ ...microkernel(), ...WHOLE, xen: { onSuspend } });
      const output = watch(guest);
      const states: string[] = [];
      guest.on("state", (state) => {
        states.push(state);
        if (state === "suspended") void guest.resume();
      });
      expectSuccess(await guest.run(), output(), "cancelled");
      expect(states.includes("suspended"), onSuspend).toBe(onSuspend === "stand");
    }
  });

  it("refused for its page tables has left no watch and no connection to the store", async () => {
    const { guest } = await suspended();
    const image = decodeImage(await guest.save());
    await guest.shutdown();
    const pages = image.pages.map((page) => (page.isPinned ? { ...page, type: PGT_L1 } : page));
    const introduce = vi.spyOn(Xenstore.prototype, "introduce");
    const watched = vi.spyOn(Xenstore.prototype, "watch");
    onTestFinished(() => void vi.restoreAllMocks());
    const restore = encodeImage({ ...image, pages });
    await expect(createGuest({ restore, ...WHOLE })).rejects.toThrow(/break.? a rule/);
    expect([introduce, watched].map(({ mock }) => mock.calls)).toEqual([[], []]);
  });

  it("takes along what was typed and not yet read, and what is typed while it stands", async () => {
    const { guest } = await suspended();
    const keyboard = guest.console.writable.getWriter();
    const typed = "x".repeat(3000);
    await keyboard.write(new TextEncoder().encode(typed));
    const image = await guest.save();
    expect(new TextDecoder().decode(decodeImage(image).consoleInput)).toBe(typed);
    await guest.shutdown();
    const again = await createGuest({ restore: image, ...WHOLE });
    watch(again);
    expect((await again.run()).kind).toBe("power-off");
  });

  it.each([0, 99, 4711])(
    "goes on in another domain (frames scrambled by seed %i)",
    async (scramble) => {
      const { guest } = await suspended({ xen: { scramble: 7 } });
      const image = await guest.save();
      await guest.shutdown();
      const { end, output } = await restored(image, { xen: { scramble } });
      expectSuccess(end, output, "resumed");
    },
  );

  it("goes on the same every time, in other slices, with translations dropped, and from a packed image in a worker", async () => {
    const { guest } = await suspended();
    const image = await guest.save();
    const packed = await guest.save({ compress: true });
    const once = async (options: Partial<GuestOptions>, bytes = image) =>
      (await restored(bytes, options)).end.digest;
    const plain = await once({});
    expect(await once({ sliceInstructions: 101 })).toBe(plain);
    expect(await once({ debug: { digestAtEnd: true, chaosSeed: 9 } })).toBe(plain);
    expect(await once({ mode: "worker" }, packed)).toBe(plain);
  });

  it("leaves the same image whatever its frames are, but for what the guest itself noted of them", async () => {
    const contexts = await Promise.all(
      [0, 4711].map(async (scramble) => {
        const { guest } = await suspended({ xen: { scramble } });
        return decodeImage(await guest.save());
      }),
    );
    const [a, b] = contexts.map(({ about, p2mPfns, vcpus, pages }) => ({
      about,
      p2mPfns,
      pages: pages.map(({ pfn, type, isPinned }) => [pfn, type, isPinned]),
      tables: pages.filter(({ type }) => type !== 0).map(({ bytes }) => bytes),
      segments: vcpus.map(({ context }) => context.slice(0x224, 0x248)),
    }));
    expect(a).toEqual(b);
  });

  it("takes its kind from the image, and refuses options that say otherwise", async () => {
    const { guest } = await suspended({ name: "first" });
    const image = await guest.save();
    await guest.shutdown();
    const refused = async (options: GuestOptions) =>
      await createGuest({ ...WHOLE, ...options }).then(
        () => "made",
        (error: HypervisorError) => `${error.code}: ${error.message}`,
      );
    expect(await refused({ restore: image, memoryBytes: 16 << 20 })).toMatch(/^HV_CONFIG: memoryB/);
    expect(await refused({ restore: image, cpu: "max" })).toMatch(/^HV_CONFIG: cpu is max, but/);
    expect(await refused({ restore: image, vcpus: 2 })).toMatch(/^HV_CONFIG: vcpus is 2, but/);
    expect(await refused({ restore: image, abi: "bare" })).toMatch(/^HV_CONFIG: abi is "bare"/);
    expect(await refused({ restore: image, commandLine: "x" })).toMatch(/^HV_CONFIG: a restored/);
    expect(await refused({ restore: image, onRestart: "reboot" })).toMatch(/^HV_CONFIG: a restor/);
    expect(await refused({ restore: image.subarray(0, 5000) })).toMatch(/^HV_SNAPSHOT: .* early$/);
    const decoded = decodeImage(image);
    const withDisk = encodeImage({ ...decoded, about: { ...decoded.about, disks: 1 } });
    expect(await refused({ restore: withDisk })).toMatch(/^HV_CONFIG: .* had 1 disks and block/);
    const again = await createGuest({ ...WHOLE, restore: image });
    onTestFinished(() => again[Symbol.asyncDispose]());
    expect(again.name).toBe("first");
    await expect(again.save()).rejects.toMatchObject({ code: "HV_STATE" });
  });

  it("is refused from an image that somebody changed, or runs: nothing else becomes of one", async () => {
    const { guest } = await suspended();
    const image = decodeImage(await guest.save());
    await guest.shutdown();
    const tables = image.pages.flatMap(({ type, bytes }, index) =>
      type !== 0 && bytes !== undefined ? [index] : [],
    );
    const change = fc.record({
      table: fc.constantFrom(...tables),
      offset: fc.nat({ max: 1023 }).map((word) => 4 * word),
      value: fc.oneof(
        fc.nat({ max: 2048 }).map((pfn) => pfn * 4096 + 0x67),
        fc.nat(),
      ),
      retype: fc.option(fc.constantFrom(0, 2, 3, 4), { freq: 5 }),
      register: fc.option(
        fc.record({ at: fc.nat({ max: 0x2bb }).map((word) => 4 * word), value: fc.nat() }),
        { freq: 2 },
      ),
      isPinned: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const pages = [...image.pages];
        const context = image.vcpus[0]!.context.slice();
        for (const { table, offset, value, retype, register, isPinned } of changes) {
          const page = pages[table]!;
          const bytes = page.bytes!.slice();
          new DataView(bytes.buffer).setUint32(offset, value, true);
          pages[table] = { ...page, bytes, type: retype ?? page.type, isPinned };
          if (register !== null) {
            new DataView(context.buffer).setUint32(register.at, register.value, true);
          }
        }
        const vcpus = [{ ...image.vcpus[0]!, context }];
        const bytes = encodeImage({ ...image, pages, vcpus });
        try {
          const copy = await createGuest({ ...WHOLE, restore: bytes });
          const patience = setTimeout(() => void copy.kill("enough"), 200);
          await copy.run();
          clearTimeout(patience);
        } catch (error) {
          expect(error).toMatchObject({ code: "HV_SNAPSHOT" });
        }
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
