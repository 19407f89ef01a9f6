/** Samples from the marks that a guest prints and a clock. */
import { MarkReader } from "../../host-ts/launcher/bench-marks.ts";
import type { PeerSample } from "./job.ts";

/** Collects samples; `isDone` when the plan is through. */
export class Samples {
  readonly samples: PeerSample[] = [];
  isDone = false;
  readonly #marks: MarkReader;
  #startMs = 0;
  #cpuMs = 0;

  /** `cpuMs` reads the clock; `afterMark` is called once it has been read. */
  constructor(cpuMs: () => number, afterMark: () => void = () => {}) {
    this.#marks = new MarkReader({
      started: () => {
        this.#startMs = cpuMs();
        afterMark();
      },
      ended: () => {
        this.#cpuMs = cpuMs() - this.#startMs;
        afterMark();
      },
      counted: (events) => this.samples.push({ cpuMs: this.#cpuMs, events }),
      done: () => {
        this.isDone = true;
      },
    });
  }

  /** Takes output of the guest. @throws when it is nonsense. */
  read(bytes: Iterable<number>): void {
    this.#marks.read(bytes);
  }
}
