/** What is known about a guest at its death, as data; rendering it with symbols and disassembly is somebody else's. */

import { PAGE_BYTES } from "../../abi/memory.ts";
import { SEG_CS, SEG_SS } from "../../abi/x86.ts";
import type { Registers } from "../base/vcpu-block.ts";
import type { Machine } from "./machine.ts";

/** Everything plain, so it can cross threads and be stored. */
export interface CrashReport {
  readonly reason: string;
  readonly registers: Registers;
  /** Linear address of the instruction pointer: EIP plus the base of CS. */
  readonly codeLin: number;
  /** Up to 32 bytes at codeLin; empty when the guest's tables do not map it. */
  readonly code: Uint8Array;
  /** Linear address of the top of the stack. */
  readonly stackLin: number;
  /** Up to 32 words from stackLin upwards, as far as they are mapped. */
  readonly stack: readonly number[];
  /** Return addresses by frame pointer, innermost first; the instruction pointer is not among them. */
  readonly backtrace: readonly number[];
  readonly instructions: number;
}

const CODE_BYTES = 32;
const STACK_WORDS = 32;
const BACKTRACE_MAX = 24;

/** Looks at a stopped machine; changes nothing in it. */
export function reportCrash(machine: Machine, reason: string): CrashReport {
  const { vcpu } = machine;
  const registers = vcpu.registers();
  const codeLin = (registers.eip + vcpu.segment(SEG_CS).base) >>> 0;
  const stackBase = vcpu.segment(SEG_SS).base;
  const stackLin = (registers.esp + stackBase) >>> 0;
  const stack: number[] = [];
  for (let index = 0; index < STACK_WORDS; index++) {
    const word = readWord(machine, stackLin + 4 * index);
    if (word === undefined) break;
    stack.push(word);
  }
  return {
    reason,
    registers,
    codeLin,
    code: readLinear(machine, codeLin, CODE_BYTES),
    stackLin,
    stack,
    backtrace: walkFrames(machine, (registers.ebp + stackBase) >>> 0),
    instructions: vcpu.retired,
  };
}

/** Saved frame pointers must rise, or the chain is no chain. */
function walkFrames(machine: Machine, firstFrame: number): number[] {
  const addresses: number[] = [];
  let frame = firstFrame;
  while (addresses.length < BACKTRACE_MAX) {
    const next = readWord(machine, frame);
    const returnLin = readWord(machine, frame + 4);
    if (next === undefined || returnLin === undefined || returnLin === 0) break;
    addresses.push(returnLin);
    if (next <= frame) break;
    frame = next;
  }
  return addresses;
}

function readWord(machine: Machine, lin: number): number | undefined {
  const bytes = readLinear(machine, lin, 4);
  return bytes.length < 4 ? undefined : new DataView(bytes.buffer).getUint32(0, true);
}

/** Reads through the guest's own tables; short when a page is not mapped or not memory. */
function readLinear(machine: Machine, lin: number, length: number): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const at = lin + done;
    if (at > 0xffffffff) break;
    const chunk = Math.min(PAGE_BYTES - (at % PAGE_BYTES), length - done);
    const gpa = machine.core.exports.walk(machine.vcpu.ptr, at, 0, 0);
    if (gpa < 0 || !machine.memory.isRange(gpa, chunk)) break;
    target.set(machine.memory.read(gpa, chunk), done);
    done += chunk;
  }
  return target.slice(0, done);
}
