/** A profile as a document of speedscope.app. Source: its file-format-schema.json, kind "sampled". */
import type { Profile } from "../guest/profiler.ts";
import { nameFrames, type ProfileNames } from "./profile-frames.ts";

const SCHEMA = "https://www.speedscope.app/file-format-schema.json";

/**
 * The document, to be written as JSON. Weights are instructions, or what `unit` says. Samples stand in the order in which they were taken, neighbours in
 * one place put together; those of a profile too long for its order stand by place.
 */
export function speedscopeDocument(
  profile: Profile,
  names: ProfileNames,
  name: string,
  unit: "none" | "nanoseconds" = "none",
): object {
  const { samples: places, order, everyInstructions } = profile;
  const frames: { name: string; file: string }[] = [];
  const numbers = new Map<string, number>();
  const stacks = places.map((place) => {
    const stack = nameFrames(place, names).map((frame) => {
      const key = `${frame.mode} ${frame.name}`;
      const number = numbers.get(key) ?? frames.push({ name: frame.name, file: frame.mode }) - 1;
      numbers.set(key, number);
      return number;
    });
    return stack.reverse();
  });
  const total = places.reduce((sum, { count }) => sum + count, 0);
  const samples: number[][] = [];
  const weights: number[] = [];
  const add = (place: number, count: number) => {
    samples.push(stacks[place]!);
    weights.push(count * everyInstructions);
  };
  if (order.length < total) for (const [place, { count }] of places.entries()) add(place, count);
  else
    for (let start = 0, end = 0; start < order.length; start = end) {
      while (order[end] === order[start]) end++;
      add(order[start]!, end - start);
    }
  return {
    $schema: SCHEMA,
    exporter: "wasmvisor",
    name,
    activeProfileIndex: 0,
    shared: { frames },
    profiles: [
      {
        type: "sampled",
        name,
        unit,
        startValue: 0,
        endValue: total * everyInstructions,
        samples,
        weights,
      },
    ],
  };
}
