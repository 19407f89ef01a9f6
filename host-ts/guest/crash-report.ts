/** What is known about a guest at its death, as data; rendering it with symbols and disassembly is somebody else's. */

import { ATTR_DB, SEG_CS, SEG_SS } from "../../abi/x86.ts";
import type { Registers } from "../base/vcpu-block.ts";
import { readLinear } from "./linear-memory.ts";
import type { Machine } from "./machine.ts";

/** Bytes and the linear address they were read from; empty when the guest's tables do not map it. */
export interface Excerpt {
  readonly lin: number;
  readonly bytes: Uint8Array;
}

/** Everything plain, so it can cross threads and be stored. */
export interface CrashReport {
  readonly reason: string;
  readonly registers: Registers;
  /** Up to 48 bytes around the instruction pointer, starting up to 16 before it. */
  readonly code: Excerpt;
  /** Base of the code segment, and its default size in bits. */
  readonly codeSegment: { readonly base: number; readonly bits: 16 | 32 };
  /** Up to 4 KiB from the stack pointer upwards. */
  readonly stack: Excerpt;
  /** Instructions retired, by all vCPUs. */
  readonly instructions: number;
  /** Number of the vCPU that ran last, whose registers these are; undefined in a guest of one. */
  readonly vcpu: number | undefined;
}

const CODE_BYTES_BEFORE = 16;
const CODE_BYTES_FROM = 32;
const STACK_BYTES = 4096;

/** Looks at a stopped machine; changes nothing in it. */
export function reportCrash(machine: Machine, reason: string): CrashReport {
  const { vcpu, vcpus } = machine;
  const registers = vcpu.registers();
  const { base, attr } = vcpu.segment(SEG_CS);
  const codeLin = (registers.eip + base) >>> 0;
  const stackLin = (registers.esp + vcpu.segment(SEG_SS).base) >>> 0;
  return {
    reason,
    registers,
    code: readCode(machine, codeLin),
    codeSegment: { base, bits: attr & ATTR_DB ? 32 : 16 },
    stack: { lin: stackLin, bytes: readLinear(machine, stackLin, STACK_BYTES) },
    instructions: machine.clock.retired,
    vcpu: vcpus.length > 1 ? vcpu.id : undefined,
  };
}

/** The bytes before are worth having only if they join the ones at the instruction pointer. */
function readCode(machine: Machine, codeLin: number): Excerpt {
  const lin = Math.max(0, codeLin - CODE_BYTES_BEFORE);
  const whole = readLinear(machine, lin, codeLin - lin + CODE_BYTES_FROM);
  if (whole.length > codeLin - lin) return { lin, bytes: whole };
  return { lin: codeLin, bytes: readLinear(machine, codeLin, CODE_BYTES_FROM) };
}
