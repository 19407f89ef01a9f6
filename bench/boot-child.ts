/** A process that boots the embedded guest twice on its main thread and prints both boots as JSON. */
import { readFileSync } from "node:fs";
import { threadCpuMs } from "../host-ts/launcher/thread-clock.ts";
import type { GuestBoot } from "./boot.ts";

const built = new URL("../dist/host-ts/index.js", import.meta.url).href;
const { createGuest }: typeof import("../host-ts/index.ts") = await import(built);
const kernel = readFileSync(new URL("../guests/demo/demo.elf", import.meta.url));

async function boot(): Promise<GuestBoot> {
  const [startMs, startCpuMs, startUsage] = [performance.now(), threadCpuMs(), process.cpuUsage()];
  const guest = await createGuest({ kernel, mode: "inline" });
  let output = "";
  const seen = new Promise<GuestBoot>((resolve) => {
    const stop = guest.on("output", (bytes) => {
      output += Buffer.from(bytes).toString("latin1");
      if (!output.endsWith("$ ")) return;
      stop();
      const cpuMs = threadCpuMs() - startCpuMs;
      const { user, system } = process.cpuUsage(startUsage);
      const times = {
        cpuMs,
        allThreadsMs: (user + system) / 1e3,
        wallMs: performance.now() - startMs,
      };
      resolve(guest.stats().then(({ instructions }) => ({ ...times, instructions })));
    });
  });
  const ended = guest.run();
  const measured = await Promise.race([seen, ended]);
  if (!("cpuMs" in measured)) throw new Error(`the guest ended: ${measured.reason}`);
  await guest.shutdown();
  await ended;
  return measured;
}

const first = await boot();
const next = await boot();
process.stdout.write(JSON.stringify({ first, next }), () => process.exit(0));
