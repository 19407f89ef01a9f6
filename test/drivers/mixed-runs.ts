/** One case run in several manners that must make no difference: in slices, with translations dropped, with warm caches. */
import type { CpuDriver, CpuOutcome, RunManner } from "./cpu-driver.ts";
import type { FxState, VectorCase } from "./nv1.ts";

/** Slices of one instruction, and dropping translations, are for cases up to this long: they take time. */
const MOST_SINGLE_SLICES = 2000;
const MOST_CHAOS = 500;
const PRIME_SLICE = 13;

interface Manner extends RunManner {
  readonly what: string;
  readonly most?: number;
}

const MANNERS: readonly Manner[] = [
  // Right after the first run, while what that decoded is there.
  { what: "with warm caches", isWarm: true },
  { what: "in slices of 1", slice: 1, most: MOST_SINGLE_SLICES },
  { what: `in slices of ${PRIME_SLICE}, warm`, slice: PRIME_SLICE, isWarm: true },
  { what: "with translations dropped at random", chaosSeed: 1, most: MOST_CHAOS },
];

function copy(outcome: CpuOutcome): CpuOutcome {
  const { data, stack, edge } = outcome;
  return {
    ...outcome,
    data: data.slice(),
    stack: stack.slice(),
    ...(edge && { edge: edge.slice() }),
  };
}

function fxText(fx: FxState | undefined): string {
  if (fx === undefined) return "none";
  const { fcw, fsw, ftw, mxcsr, st, xmm } = fx;
  const registers = [...st, ...xmm].map((bytes) => Buffer.from(bytes).toString("hex"));
  return [fcw, fsw, ftw, mxcsr, ...registers].join(" ");
}

/** What a run shows, as named texts: here no flag is open. */
function view(outcome: CpuOutcome): [string, string][] {
  const { vector, error, cr2, eip, flags, segs, regs, retired, trouble, steps } = outcome;
  return [
    ["end", `${trouble ?? vector}`],
    ["error code", `${error}`],
    ["cr2", cr2.toString(16)],
    ["eip", eip.toString(16)],
    ["registers", [...regs].map((value) => value.toString(16)).join(" ")],
    ["flags", flags.toString(16)],
    ["segments", segs.join(" ")],
    ["instructions", `${retired}`],
    ["steps", `${steps?.count} ${steps?.trace}`],
    ["x87 and SSE state", fxText(outcome.fx)],
  ];
}

/** @returns a line for each way in which a run in another manner shows something else than `first`, the run that just ended. */
export function disagreements(driver: CpuDriver, test: VectorCase, first: CpuOutcome): string[] {
  const kept = copy(first);
  const expected = view(kept);
  return MANNERS.flatMap(({ what, most, ...manner }) => {
    if (most !== undefined && (kept.retired ?? 0) > most) return [];
    const got = driver.run(test, manner);
    const lines = view(got).flatMap(([name, text], i) => {
      const before = expected[i]![1];
      return text === before ? [] : [`${what}, ${name}: first ${before}, then ${text}`];
    });
    for (const range of ["data", "stack", "edge"] as const) {
      if (Buffer.compare(kept[range] ?? NOTHING, got[range] ?? NOTHING) !== 0) {
        lines.push(`${what}, ${range}: other bytes than at first`);
      }
    }
    return lines;
  });
}

const NOTHING = new Uint8Array(0);
