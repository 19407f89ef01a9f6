/** Random hypercalls and instructions of a kernel that means harm: the core never throws, hangs or loses count. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { EXIT_BUDGET, EXIT_HYPERCALL, EXIT_KILL, EXIT_LIVELOCK } from "../../abi/vcpu.ts";
import { REG_EAX, VECTOR_GP, VECTOR_PF, VECTOR_UD } from "../../abi/x86.ts";
import {
  FLAT_RING1_CS,
  FLAT_RING1_SS,
  FLAT_RING3_CS,
  FLAT_RING3_SS,
  HYPERVISOR_MULTICALL,
  HYPERVISOR_SET_CALLBACKS,
  HYPERVISOR_STACK_SWITCH,
} from "../../abi/xen.ts";
import { intN, movImm } from "../unit/protect/assembler.ts";
import {
  CODE,
  DATA,
  Domain,
  EVENT_HANDLER,
  entryAt,
  entryOf,
  FAILSAFE_HANDLER,
  FREE_PAGE,
  KERNEL_STACK,
  L1_PAGE,
  L2_PAGE,
  L3_PAGE,
  M2P_MFN,
  mfnOf,
  RO,
  RW,
  UNMAPPED_PAGE,
  USER_STACK,
} from "../unit/xen/domain.ts";

/** Values that mean something to some call, and any others. */
const word = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 40 }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      DATA,
      DATA + 0xff8,
      UNMAPPED_PAGE << 12,
      KERNEL_STACK - 32,
      USER_STACK,
      CODE,
      0x7ff0,
      0xf5800000,
      0xfffffffc,
      0x80000001,
      FLAT_RING1_CS,
      FLAT_RING1_SS,
      FLAT_RING3_CS,
      FLAT_RING3_SS,
      mfnOf(FREE_PAGE),
      mfnOf(L1_PAGE),
      mfnOf(L3_PAGE),
      M2P_MFN,
      entryAt(L1_PAGE, UNMAPPED_PAGE),
      entryAt(L2_PAGE, 1),
      entryOf(FREE_PAGE, RW),
      entryOf(FREE_PAGE, RO),
      entryOf(L1_PAGE, RW),
      FREE_PAGE << 12,
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);
/** Calls that the core performs, and some that it does not. */
const call = fc.record({
  number: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 41 }) },
    { weight: 1, arbitrary: word },
  ),
  args: fc.array(word, { minLength: 5, maxLength: 5 }),
  memory: fc.array(word, { maxLength: 24 }),
  answer: word,
  slice: fc.constantFrom(3, 20, 500),
  ring3: fc.boolean(),
  masked: fc.boolean(),
  pending: fc.boolean(),
});

const REASONS = [EXIT_HYPERCALL, EXIT_KILL, EXIT_BUDGET, EXIT_LIVELOCK];
/** Slices after which a call counts as a hang: 1,000 entries of a multicall take fewer. */
const MANY_SLICES = 3000;
/** Where the call is made: a vCPU that stands there is in it. */
const CALL = CODE + 7 * movImm(0, 0).length;

/** Lists of a thousand are long enough. Bit 31 of a count says that some of it is done. */
function shortened(number: number, count: number): number {
  const most = number === HYPERVISOR_MULTICALL ? 1000 : (count & 0x80000000) | 1000;
  return Math.min(count, most >>> 0);
}

test("calls with any arguments end, one way or another, with every count right", () => {
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 25 }), (calls) => {
      const domain = new Domain();
      const { exports } = domain.core;
      try {
        domain.setTraps([VECTOR_GP, 0], [VECTOR_PF, 4], [VECTOR_UD, 0], [0x80, 3]);
        domain.call(HYPERVISOR_STACK_SWITCH, FLAT_RING1_SS, KERNEL_STACK);
        domain.call(
          HYPERVISOR_SET_CALLBACKS,
          FLAT_RING1_CS,
          EVENT_HANDLER,
          FLAT_RING1_CS,
          FAILSAFE_HANDLER,
        );
        for (const { number, args, memory, answer, slice, ring3, masked, pending } of calls) {
          domain.write32(DATA, ...memory);
          domain.write32(KERNEL_STACK - 32, ...memory.slice(0, 8));
          domain.setUpcall({ masked, pending });
          domain.enter(ring3 ? 3 : 1);
          const [ebx = 0, ecx = 0, edx = 0, esi = 0, edi = 0] = args;
          domain.assemble(
            CODE,
            movImm(3, ebx),
            movImm(1, shortened(number, ecx)),
            movImm(2, edx),
            movImm(6, esi),
            movImm(7, edi),
            movImm(4, KERNEL_STACK - 32),
            movImm(REG_EAX, number),
            intN(0x82),
          );
          let slices = 0;
          let slicesInCall = 0;
          let reason = EXIT_BUDGET;
          // A frame of iret's may lead back to CODE: a guest that goes round is none that hangs.
          while (reason === EXIT_BUDGET && slices++ < MANY_SLICES) {
            reason = exports.run(domain.vcpu.ptr, slice);
            slicesInCall = domain.vcpu.eip === CALL ? slicesInCall + 1 : 0;
            if (domain.vcpu.eip < CODE || domain.vcpu.eip > CODE + 64) break;
          }
          expect(slicesInCall).toBeLessThan(MANY_SLICES);
          expect(REASONS).toContain(reason);
          if (reason === EXIT_KILL) break;
          if (reason === EXIT_HYPERCALL) exports.xenReturn(domain.vcpu.ptr, answer);
        }
        expect(domain.relinquish()).toBe(0);
      } finally {
        domain.destroy();
      }
    }),
    { numRuns: Number(process.env.WASMVISOR_XEN_RUNS ?? 100) },
  );
}, 600_000);
