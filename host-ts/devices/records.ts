/**
 * Small shared vocabulary of the devices: little-endian fields in byte arrays, and versioned records.
 */
import { SnapshotError } from "../base/errors.ts";

/** Reads `size` bytes at `offset` as an unsigned little-endian number; bytes past the end are zero. */
export function readField(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value += (bytes[offset + i] ?? 0) * 2 ** (8 * i);
  return value;
}

/** Writes `size` bytes of `value` at `offset`, little-endian; bytes past the end are dropped. */
export function writeField(bytes: Uint8Array, offset: number, size: number, value: number): void {
  for (let i = 0; i < size; i++) {
    if (offset + i < bytes.length) bytes[offset + i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
  }
}

/** Throws SnapshotError unless `state` is a record of this version. */
export function checkVersion(state: Record<string, unknown>, name: string, version: number): void {
  if (state.version !== version) {
    throw new SnapshotError(
      `state of ${name} has version ${String(state.version)}; this build restores version ${version}`,
    );
  }
}
