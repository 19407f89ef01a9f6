/**
 * Operands in device memory: the Host performs each access, then the instruction runs again and finds the result in the queue.
 * An access is of 1, 2, 4 or 8 bytes and stays within its page; a wider operand, or one that straddles, takes several, the lowest first.
 */
import {
  EVENT_MMIO,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  KILL_BAD_ADDRESS,
  MMIO_QUEUE_MAX,
  VCPU_BOUNCE,
  VCPU_EVENT,
  VCPU_EXIT_ARG,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_CURSOR,
  VCPU_MMIO_VALUES,
} from "../../abi/vcpu.ts";
import { kill } from "../state/faults.ts";
import { setExit } from "../state/vcpu.ts";
import { clearEvent, FILL_MMIO } from "./fill.ts";

/** @returns pointer into the queue when the Host has already performed this access; else 0. */
function performed(v: usize): usize {
  const cursor = load<u32>(v, VCPU_MMIO_CURSOR);
  if (cursor >= load<u32>(v, VCPU_MMIO_COUNT)) return 0;
  store<u32>(v, cursor + 1, VCPU_MMIO_CURSOR);
  return v + VCPU_MMIO_VALUES + cursor * 8;
}

/** @returns true when the Host may be asked; else the guest dies: no driver uses so many registers in one instruction. */
function mayQueue(v: usize, gpa: u32, size: u32): bool {
  if (load<u32>(v, VCPU_MMIO_CURSOR) < <u32>MMIO_QUEUE_MAX) return true;
  kill(v, KILL_BAD_ADDRESS, gpa, size);
  return false;
}

/** @returns the guest-physical address that locate() left with FILL_MMIO, its event cleared. */
export function deviceAddress(v: usize, located: usize): u32 {
  if (located != FILL_MMIO) return 0;
  clearEvent(v);
  return load<u32>(v, VCPU_EXIT_ARG);
}

/** @returns how much of `left` bytes one access to a device moves: 8, 4, 2 or 1. */
function devicePart(left: u32): u32 {
  return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/** Brings `size` bytes, from memory at `ptr` or from a device, to place `at` of the bounce buffer. @returns false = event recorded. */
export function gather(v: usize, ptr: usize, gpa: u32, size: u32, at: u32): bool {
  if (ptr == FILL_MMIO) return deviceRead(v, gpa, size, at);
  memory.copy(v + VCPU_BOUNCE + at, ptr, size);
  return true;
}

/** Has the Host read `size` bytes of a device, in parts from the lowest on. @returns false = event recorded. */
function deviceRead(v: usize, gpa: u32, size: u32, at: u32): bool {
  for (let done: u32 = 0; done < size; ) {
    const bytes = devicePart(size - done);
    const value = performed(v);
    if (value == 0) {
      if (!mayQueue(v, gpa, size)) return false;
      setExit(v, EXIT_MMIO_READ, gpa + done, bytes);
      store<u32>(v, EVENT_MMIO, VCPU_EVENT);
      return false;
    }
    memory.copy(v + VCPU_BOUNCE + at + done, value, bytes);
    done += bytes;
  }
  return true;
}

/** Has the Host write `size` bytes of the bounce buffer to a device, in parts. @returns true when it has. */
export function deviceWrite(v: usize, gpa: u32, size: u32, at: u32): bool {
  for (let done: u32 = 0; done < size; ) {
    const bytes = devicePart(size - done);
    if (performed(v) == 0) {
      if (!mayQueue(v, gpa, size)) return false;
      let value = load<u64>(v + at + done, VCPU_BOUNCE);
      if (bytes < 8) value &= ((<u64>1) << (bytes * 8)) - 1;
      setExit(v, EXIT_MMIO_WRITE, gpa + done, bytes, <u32>value, <u32>(value >> 32));
      store<u32>(v, EVENT_MMIO, VCPU_EVENT);
      return false;
    }
    done += bytes;
  }
  return true;
}
