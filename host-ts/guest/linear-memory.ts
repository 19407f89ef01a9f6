/** Reading a guest's memory by linear address from outside: through its own tables, and without a trace in them. */

import { PAGE_BYTES } from "../../abi/memory.ts";
import type { Core } from "../base/core.ts";
import type { FrameMemory } from "../base/guest-memory.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";

/** The parts of a machine that a look from outside needs. */
export interface Observed {
  readonly core: Core;
  readonly vcpu: VcpuBlock;
  readonly memory: FrameMemory;
}

/** Reads up to `length` bytes at `lin`, as the current directory of `vcpu` maps them; short when a page is not mapped or not memory. */
export function readLinear(
  { core, vcpu, memory }: Observed,
  lin: number,
  length: number,
): Uint8Array {
  const target = new Uint8Array(length);
  let done = 0;
  while (done < length && lin + done <= 0xffffffff) {
    const at = lin + done;
    const chunk = Math.min(PAGE_BYTES - (at % PAGE_BYTES), length - done);
    const gpa = core.exports.walk(vcpu.ptr, at, 0, 0);
    if (gpa < 0 || !memory.isRange(gpa, chunk)) break;
    target.set(memory.read(gpa, chunk), done);
    done += chunk;
  }
  return target.slice(0, done);
}
