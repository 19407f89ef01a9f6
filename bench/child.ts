/** A process that runs one plan on one system: a Job as JSON on standard input, its measurements as JSON on standard output. */
import { readFileSync } from "node:fs";
import type { Job } from "./systems.ts";

const job: Job = JSON.parse(readFileSync(0, "utf8"));
const measurements =
  job.system === "ours"
    ? (await import("./ours.ts")).runOurs(job.steps)
    : await (await import("./v86.ts")).runV86(job.steps);
process.stdout.write(JSON.stringify(measurements), () => process.exit(0));
