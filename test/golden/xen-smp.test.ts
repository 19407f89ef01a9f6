/**
 * Linux with CONFIG_SMP as a Xen PV guest of several vCPUs. The kernel, built elsewhere and not by us, comes from the environment
 * (docs/status.md, "Tests that skip"); without it these tests skip.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { buildInitrd } from "../drivers/initrd.ts";

const MINUTE = 60_000;
const KERNEL = process.env.WASMVISOR_XEN_KERNEL_SMP;
const BUSYBOX = process.env.WASMVISOR_I386_BUSYBOX;
const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
const numbers = (last: number): string =>
  Array.from({ length: last }, (_, index) => `${index + 1}\n`).join("");
const SUM = md5(numbers(3000));

/** As many jobs as it takes to have work on every vCPU, then one on each alone. */
const WORK = `
for i in 1 2 3 4 5 6 7 8; do seq 1 3000 | md5sum >/sum.$i & done
wait
for i in 1 2 3 4 5 6 7 8; do cat /sum.$i; done
for i in $(seq 1 30); do echo $i | grep -q 7 & done
wait
c=0
while [ -e /sys/devices/system/cpu/cpu$c ]; do
  echo PINNED $c $(busybox taskset $(busybox printf %x $((1 << c))) sh -c 'seq 1 3000 | md5sum')
  c=$((c + 1))
done
`;
const PROLOGUE = `
mkdir -p /sys
mount -t sysfs sys /sys
echo FOUND $(grep -c ^processor /proc/cpuinfo) $(cat /sys/devices/system/cpu/online)
`;
/** The Host's side of it is the test's. */
const OBEDIENCE = `
cpus=/sys/devices/system/cpu
echo READY
while [ $(cat $cpus/present) = 0-1 ]; do sleep 0.01; done
echo GONE $(cat $cpus/online)
while [ $(cat $cpus/present) = 0 ]; do sleep 0.01; done
echo 1 >$cpus/cpu1/online
echo BACK $(cat $cpus/online) $(busybox taskset 2 sh -c 'seq 1 3000 | md5sum')
`;
/** Long enough to be suspended in. */
const PATIENCE = `
echo READY
for i in $(seq 1 40); do sleep 0.05; seq 1 100 | md5sum >/dev/null & done
wait
echo STILL $(cat /sys/devices/system/cpu/online) $(busybox taskset 2 sh -c 'seq 1 3000 | md5sum')
`;
const HOTPLUG = `
one=/sys/devices/system/cpu/cpu1/online
for i in 1 2 3; do
  echo 0 >$one
  echo OFF $(cat /sys/devices/system/cpu/online) $(seq 1 3000 | md5sum)
  echo 1 >$one
  echo ON $(cat /sys/devices/system/cpu/online) $(busybox taskset 2 sh -c 'seq 1 3000 | md5sum')
done
`;

const initrds = new Map<string, Uint8Array>();
/** The inode numbers in it go on from one to the next: the same run wants the same one. */
function initrdOf(script: string): Uint8Array {
  const job = new Map([["run", new TextEncoder().encode(PROLOGUE + script)]]);
  const initrd = initrds.get(script) ?? buildInitrd(readFileSync(BUSYBOX ?? ""), job);
  initrds.set(script, initrd);
  return initrd;
}

/** A guest, what it has printed so far, and a promise of some text of its. */
async function start(script: string, vcpus: number, options: Partial<GuestOptions> = {}) {
  const guest = await createGuest({
    kernel: readFileSync(KERNEL ?? ""),
    initrd: initrdOf(script),
    abi: "xen-pv",
    vcpus,
    commandLine: "console=hvc0 panic=-1 job=extra",
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let text = "";
  const waiting: { wanted: string; resolve: () => void }[] = [];
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    for (const { wanted, resolve } of waiting) if (text.includes(wanted)) resolve();
  });
  const printed = (wanted: string): Promise<void> =>
    new Promise((resolve) => waiting.push({ wanted, resolve }));
  return { guest, printed, text: () => text };
}

async function run(
  script: string,
  vcpus: number,
  options: Partial<GuestOptions> = {},
): Promise<{ end: GuestEnd; text: string }> {
  const { guest, text } = await start(script, vcpus, options);
  return { end: await guest.run(), text: text() };
}

/** Counts of one line of /proc/interrupts, by vCPU. */
function interrupts(text: string, name: string): number[] {
  const line = text.split("\n").find((each) => each.endsWith(` ${name}`)) ?? "";
  return (/:((?:\s+\d+)+)/.exec(line)?.[1] ?? "").trim().split(/\s+/).map(Number);
}

const missing =
  KERNEL === undefined
    ? "WASMVISOR_XEN_KERNEL_SMP"
    : BUSYBOX === undefined && "WASMVISOR_I386_BUSYBOX";
const title = "Linux under Xen with several vCPUs";
describe.skipIf(missing)(missing ? `${title} (${missing} is not set)` : title, () => {
  test.each([1, 2, 4, 8])(
    "%i vCPUs come up, all of them compute what this machine computes, and the domain powers off",
    async (vcpus) => {
      const script = `${WORK}\ncat /proc/interrupts\n`;
      const { end, text } = await run(script, vcpus);
      const online = vcpus === 1 ? "0" : `0-${vcpus - 1}`;
      expect(text).toContain(`FOUND ${vcpus} ${online}\n`);
      expect(text.split(SUM)).toHaveLength(1 + 8 + vcpus);
      for (let id = 0; id < vcpus; id++) {
        expect(text).toContain(`PINNED ${id} ${SUM}`);
        expect(interrupts(text, `timer${id}`)[id]).toBeGreaterThan(0);
        if (vcpus > 1) expect(interrupts(text, `resched${id}`)[id]).toBeGreaterThan(0);
      }
      expect(text).toContain("FINISHED");
      expect(text).not.toMatch(/WARNING|BUG:|Oops|rcu.*stall/i);
      expect([end.kind, end.crash]).toEqual(["power-off", undefined]);
    },
    2 * MINUTE,
  );

  test(
    "a vCPU goes offline and comes back as often as it is told to",
    async () => {
      const { end, text } = await run(HOTPLUG, 2);
      expect(text.split(`OFF 0 ${SUM}`)).toHaveLength(4);
      expect(text.split(`ON 0-1 ${SUM}`)).toHaveLength(4);
      expect(text).not.toMatch(/WARNING|BUG:|Oops/);
      expect(end.kind).toBe("power-off");
    },
    MINUTE,
  );

  test(
    "a vCPU that the store says is offline goes, and comes back when it says so",
    async () => {
      const { guest, printed, text } = await start(OBEDIENCE, 2);
      const availability = "/local/domain/1/cpu/1/availability";
      expect(await guest.xenstore.read(availability)).toBe("online");
      const ready = printed("READY\n");
      const gone = printed("GONE 0\n");
      const ended = guest.run();
      await ready;
      await guest.xenstore.write(availability, "offline");
      await gone;
      await guest.xenstore.write(availability, "online");
      expect((await ended).kind).toBe("power-off");
      expect(text()).toContain(`BACK 0-1 ${SUM}`);
    },
    MINUTE,
  );

  test(
    "a domain of two vCPUs is suspended and goes on, in place and as a copy",
    async () => {
      const { guest, printed, text } = await start(PATIENCE, 2);
      const ready = printed("READY\n");
      const ended = guest.run();
      await ready;
      await guest.suspend();
      const image = await guest.save();
      await guest.resume();
      expect((await ended).kind).toBe("power-off");
      const copy = await start(PATIENCE, 2, { restore: image });
      expect((await copy.guest.run()).kind).toBe("power-off");
      for (const each of [text(), copy.text()]) expect(each).toContain(`STILL 0-1 ${SUM}`);
    },
    MINUTE,
  );

  test(
    "a restart with two vCPUs is a restart",
    async () => {
      expect((await run("reboot -f", 2)).end.kind).toBe("restart");
    },
    MINUTE,
  );

  test(
    "the same run ends in the same state in slices of any length and with translations dropped at random",
    async () => {
      const script = `seq 1 3000 | md5sum & seq 1 3000 | md5sum & wait\n${HOTPLUG}`;
      const digestOf = async (options: Partial<GuestOptions>, chaosSeed = 0) =>
        (await run(script, 3, { ...options, debug: { digestAtEnd: true, chaosSeed } })).end.digest;
      const once = await digestOf({});
      expect(await digestOf({ sliceInstructions: 1_000 })).toBe(once);
      expect(await digestOf({ sliceInstructions: 1_009 })).toBe(once);
      expect(await digestOf({ sliceInstructions: 9_973 })).toBe(once);
      expect(await digestOf({}, 7)).toBe(once);
    },
    6 * MINUTE,
  );
});
