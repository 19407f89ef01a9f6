/** The small parts of base/: entropy, unwinding, alarms, events, errors between threads. */

import { expect, test } from "vitest";
import { Emitter } from "../../../host-ts/base/emitter.ts";
import { PlatformEntropy, SeededEntropy } from "../../../host-ts/base/entropy.ts";
import {
  BugError,
  ConfigError,
  fromPlainError,
  ImageError,
  toPlainError,
} from "../../../host-ts/base/errors.ts";
import { Alarm, yieldToEventLoop } from "../../../host-ts/base/event-loop.ts";
import { Unwinder } from "../../../host-ts/base/unwind.ts";

function bytes(seed: number): Uint8Array {
  const target = new Uint8Array(4096);
  new SeededEntropy(seed).fill(target);
  return target;
}

test("seeded bytes repeat for a seed, differ between seeds, and use every value", () => {
  expect(bytes(1)).toEqual(bytes(1));
  expect(bytes(1)).not.toEqual(bytes(2));
  expect(new Set(bytes(0)).size).toBe(256);
});

test("platform bytes fill more than one generator call can", () => {
  const target = new Uint8Array(100_000);
  new PlatformEntropy().fill(target);
  expect(target.subarray(90_000).some((byte) => byte !== 0)).toBe(true);
});

test("undo steps run in reverse, each once, and a failing one stops no other", () => {
  const order: number[] = [];
  const unwinder = new Unwinder();
  unwinder.push(() => order.push(1));
  unwinder.push(() => {
    throw new Error("two");
  });
  unwinder.push(() => order.push(3));
  expect(() => unwinder.run()).toThrow("two");
  unwinder.run();
  expect(order).toEqual([3, 1]);
});

test("an alarm that rang before the sleep ends it at once", async () => {
  const alarm = new Alarm();
  alarm.ring();
  await alarm.sleep(undefined);
  const sleep = alarm.sleep(undefined);
  alarm.ring();
  await sleep;
  await alarm.sleep(1);
  await yieldToEventLoop();
});

test("a removed listener hears nothing", () => {
  const emitter = new Emitter<{ value: number }>();
  const heard: number[] = [];
  const remove = emitter.on("value", (value) => heard.push(value));
  emitter.emit("value", 1);
  remove();
  emitter.emit("value", 2);
  expect(heard).toEqual([1]);
});

test("errors keep class, code and message across a thread boundary", () => {
  for (const error of [
    new ConfigError("a"),
    new ImageError("b", "HV_IMAGE_TRUNCATED"),
    new BugError("c"),
  ]) {
    const back = fromPlainError(structuredClone(toPlainError(error)));
    expect(back).toBeInstanceOf(error.constructor);
    expect([back.code, back.message]).toEqual([error.code, error.message]);
  }
  expect(toPlainError(new TypeError("oops")).code).toBe("HV_BUG");
});
