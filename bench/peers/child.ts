/** A process that runs one plan on one system: a PeerJob as JSON on standard input, its samples as JSON on standard output. */
import { readFileSync } from "node:fs";
import type { PeerJob } from "./job.ts";

const job: PeerJob = JSON.parse(readFileSync(0, "utf8"));
const samples = await run();
process.stdout.write(JSON.stringify(samples), () => process.exit(0));

async function run() {
  if (job.system === "v86") return (await import("./v86.ts")).runV86(job);
  if (job.system === "qemu") return (await import("./qemu.ts")).runQemu(job);
  return (await import("./ours.ts")).runOurs(job);
}
