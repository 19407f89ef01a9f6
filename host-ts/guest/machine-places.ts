/**
 * On which thread the domains of each shared Xen machine are: memory can be shared within one only, so the first guest decides. This is
 * the knowledge of one embedder's thread about the guests that it made.
 */

import type { CoreImage } from "../base/core.ts";
import { ConfigError } from "../base/errors.ts";
import type { GuestConfig } from "./config.ts";

interface Place {
  readonly mode: "inline" | "worker";
  guests: number;
}

const placesByImage = new WeakMap<CoreImage, Map<string, Place>>();

/**
 * Notes that a guest is about to be made in a mode. @returns the function that says that it is gone; undefined for a guest that shares no machine.
 * Throws ConfigError when the other guests of its machine are on another thread.
 */
export function takePlace(
  config: GuestConfig,
  image: CoreImage,
  mode: Place["mode"],
): (() => void) | undefined {
  const name = config.xen.machine;
  if (name === undefined) return undefined;
  const places = placesByImage.get(image) ?? new Map<string, Place>();
  placesByImage.set(image, places);
  const place = places.get(name) ?? { mode, guests: 0 };
  if (place.mode !== mode) {
    throw new ConfigError(
      `this guest would run in mode "${mode}", but those of the machine "${name}" run in mode "${place.mode}" and share no thread with it`,
    );
  }
  places.set(name, place);
  place.guests++;
  return () => {
    place.guests--;
    if (place.guests === 0 && places.get(name) === place) places.delete(name);
  };
}
