/** Undo steps of an initialisation, run in reverse order when it fails and again when what it built is disposed of. */

/** A stack of undo steps; each runs once, the last pushed first. */
export class Unwinder {
  readonly #steps: (() => void)[] = [];

  push(step: () => void): void {
    this.#steps.push(step);
  }

  /** Runs every step even if one throws, then throws the first error. */
  run(): void {
    let failure: { error: unknown } | undefined;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        step();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}
