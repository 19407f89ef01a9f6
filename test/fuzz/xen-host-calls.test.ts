/** Random hypercalls with arguments and structures that nearly mean something, performed by the Host for real: it never throws, hangs or loses count. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { VCPU_HALTED } from "../../abi/vcpu.ts";
import { HYPERCALLS } from "../../host-ts/xen/hypercall-table.ts";
import { DATA, HOLE, HostDomain, XEN_AREA } from "../unit/xen/host-domain.ts";

/** Pages that nothing maps at first. */
const FREE = 0x3f0;
const LIST = DATA + 0x1000;

const word = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 8 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 32 }) },
  { weight: 2, arbitrary: fc.constant(0x7ff0) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      DATA,
      LIST,
      HOLE,
      XEN_AREA,
      XEN_AREA - 4,
      0x7ff0,
      0x7ff1,
      0x1000,
      0xfff,
      0x80000000,
      0xffffffff,
      0x100 + FREE,
      0x100 + FREE + 1,
      FREE << 12,
      (0x100 + FREE) * 0x1000 + 0x67,
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);
/** What leaves the test's own code standing: no changes of tables under it, no returns elsewhere, no end of a vCPU's turn that nobody ends. */
const UNFIT = [
  "iret",
  "set_gdt",
  "mmu_update",
  "mmuext_op",
  "update_va_mapping",
  "multicall",
  "stack_switch",
];
const numbers = HYPERCALLS.filter(({ name }) => !UNFIT.includes(name)).map(({ number }) => number);
const call = fc.record({
  number: fc.constantFrom(...numbers),
  args: fc.tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 0, max: 32 }) },
      { weight: 1, arbitrary: word },
    ),
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(DATA, DATA, LIST, 0, 1) },
      { weight: 1, arbitrary: word },
    ),
    fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(DATA, LIST, 1, 2) },
      { weight: 1, arbitrary: word },
    ),
    word,
    word,
  ),
  memory: fc.array(word, { maxLength: 16 }),
  list: fc.array(word, { maxLength: 8 }),
});

/** Calls that are made at least; xen-hostile.test.ts makes the many. */
const XEN_CALLS = Number(process.env.WASMVISOR_XEN_CALLS ?? 10_000);

test(
  "calls of any kind, performed by the Host, end and leave every count right",
  () => {
    let made = 0;
    const property = fc.property(
      fc.array(call, { minLength: 1, maxLength: 500, size: "max" }),
      (calls) => {
        const guest = new HostDomain({ vcpus: 2 });
        try {
          for (const { number, args, memory, list } of calls) {
            guest.write32(DATA, ...memory);
            guest.write32(LIST, ...list);
            const result = guest.tryCall(number, ...args);
            made++;
            if (result === undefined) {
              const { vcpus, waiting } = guest.domain;
              if (guest.vcpu.u32(VCPU_HALTED) === 0 || !vcpus.isUp(guest.vcpu)) break;
              waiting.wake(guest.vcpu);
              continue;
            }
            expect(Number.isInteger(result)).toBe(true);
          }
          guest.domain.destroy();
          expect(guest.relinquish()).toBe(0);
        } finally {
          guest.destroy();
        }
      },
    );
    while (made < XEN_CALLS) fc.assert(property, { numRuns: 20 });
  },
  60_000 + 10 * XEN_CALLS,
);
