/** What the guest's thread has spent on a processor: the clock of every benchmark, because wall time measures the neighbours. */
import { readFileSync } from "node:fs";

const SCHEDSTAT = "/proc/thread-self/schedstat";

/**
 * @returns milliseconds this thread has spent on a CPU; where the platform does not tell, those of the whole process.
 * Reading the process's usage first is what makes Linux bring the thread's own count up to date.
 */
export function threadCpuMs(): number {
  const { user, system } = process.cpuUsage();
  try {
    return Number(readFileSync(SCHEDSTAT, "latin1").split(" ")[0]) / 1e6;
  } catch {
    return (user + system) / 1e3;
  }
}
