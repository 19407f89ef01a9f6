/**
 * A profile in the form that pprof reads: a `perftools.profiles.Profile` message of protocol buffers, not yet compressed.
 * Source: profile.proto of github.com/google/pprof; "Encoding" of the protocol buffers documentation.
 */
import type { Profile } from "../guest/profiler.ts";
import {
  type NamedFrame,
  nameFrames,
  type ProfileMode,
  type ProfileNames,
} from "./profile-frames.ts";

/** Field numbers by message. */
const PROFILE = {
  sampleType: 1,
  sample: 2,
  mapping: 3,
  location: 4,
  function: 5,
  stringTable: 6,
  periodType: 11,
  period: 12,
} as const;
const VALUE_TYPE = { type: 1, unit: 2 } as const;
const SAMPLE = { locationId: 1, value: 2, label: 3 } as const;
const LABEL = { key: 1, text: 2 } as const;
const MAPPING = { id: 1, memoryLimit: 3, filename: 5, hasFunctions: 7 } as const;
const LOCATION = { id: 1, mappingId: 2, address: 3, line: 4 } as const;
const LINE = { functionId: 1 } as const;
const FUNCTION = { id: 1, name: 2, systemName: 3 } as const;

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;
const ADDRESS_SPACE = 2 ** 32;
const MAPPINGS: Readonly<Record<ProfileMode, number>> = { kernel: 1, user: 2 };

const INSTRUCTIONS = { type: "instructions", unit: "count" };

/** Encodes a profile with two values per sample: how often it was met, and what that weighs: instructions, unless said otherwise. */
export function encodePprof(
  profile: Profile,
  names: ProfileNames,
  weight: { readonly type: string; readonly unit: string } = INSTRUCTIONS,
): Uint8Array {
  const strings = new Numbering(0, [""]);
  const functions = new Numbering(1);
  const locations = new Numbering(1);
  const message = new Message();
  const valueType = (type: string, unit: string) =>
    new Message()
      .number(VALUE_TYPE.type, strings.of(type))
      .number(VALUE_TYPE.unit, strings.of(unit));
  message.message(PROFILE.sampleType, valueType("samples", "count"));
  message.message(PROFILE.sampleType, valueType(weight.type, weight.unit));
  for (const sample of profile.samples) {
    const frames = nameFrames(sample, names);
    const entry = new Message();
    for (const frame of frames) entry.number(SAMPLE.locationId, locationOf(frame));
    entry.number(SAMPLE.value, sample.count);
    entry.number(SAMPLE.value, sample.count * profile.everyInstructions);
    const label = new Message().number(LABEL.key, strings.of("mode"));
    entry.message(SAMPLE.label, label.number(LABEL.text, strings.of(frames[0]?.mode ?? "kernel")));
    message.message(PROFILE.sample, entry);
  }
  for (const [mode, id] of Object.entries(MAPPINGS)) {
    const mapping = new Message().number(MAPPING.id, id).number(MAPPING.memoryLimit, ADDRESS_SPACE);
    mapping.number(MAPPING.filename, strings.of(mode)).number(MAPPING.hasFunctions, 1);
    message.message(PROFILE.mapping, mapping);
  }
  message.message(PROFILE.periodType, valueType(weight.type, weight.unit));
  message.number(PROFILE.period, profile.everyInstructions);
  for (const text of strings.keys) message.text(PROFILE.stringTable, text);
  return message.bytes;

  function locationOf({ name, mode, address }: NamedFrame): number {
    const [location, isNew] = locations.add(`${mode} ${address} ${name}`);
    if (!isNew) return location;
    const [id, isNewFunction] = functions.add(`${mode} ${name}`);
    if (isNewFunction) {
      const entry = new Message().number(FUNCTION.id, id).number(FUNCTION.name, strings.of(name));
      message.message(PROFILE.function, entry.number(FUNCTION.systemName, strings.of(name)));
    }
    const entry = new Message().number(LOCATION.id, location);
    entry.number(LOCATION.mappingId, MAPPINGS[mode]).number(LOCATION.address, address);
    entry.message(LOCATION.line, new Message().number(LINE.functionId, id));
    message.message(PROFILE.location, entry);
    return location;
  }
}

/** Numbers for strings, in the order in which they come. */
class Numbering {
  readonly #numbers = new Map<string, number>();
  readonly #first: number;

  constructor(first: number, keys: readonly string[] = []) {
    this.#first = first;
    for (const key of keys) this.add(key);
  }

  add(key: string): readonly [number: number, isNew: boolean] {
    const known = this.#numbers.get(key);
    if (known !== undefined) return [known, false];
    const number = this.#first + this.#numbers.size;
    this.#numbers.set(key, number);
    return [number, true];
  }

  of(key: string): number {
    return this.add(key)[0];
  }

  get keys(): Iterable<string> {
    return this.#numbers.keys();
  }
}

/** A protocol-buffers message being written. Numbers are at most 2^53. */
class Message {
  readonly #bytes: number[] = [];

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  number(field: number, value: number): this {
    this.#varint(field * 8 + WIRE_VARINT);
    this.#varint(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.#block(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.#block(field, value.#bytes);
  }

  #block(field: number, bytes: ArrayLike<number>): this {
    this.#varint(field * 8 + WIRE_BYTES);
    this.#varint(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.#bytes.push(bytes[i]!);
    return this;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes.push((rest % 0x80) + 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes.push(rest);
  }
}
