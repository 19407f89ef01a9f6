/** Whatever stands in its tables, a guest gets a fault or goes on: the core never hangs, traps in Wasm or leaves for no named reason. */
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  EXIT_BUDGET,
  EXIT_HALT,
  EXIT_LIVELOCK,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  EXIT_TRIPLE_FAULT,
  VCPU_EFLAGS,
} from "../../../abi/vcpu.ts";
import { EFLAGS_FIXED, EFLAGS_NT, REG_EAX, SEG_DS, SEG_SS } from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import { CODE, FREE, GDT, IDT, Machine, TSS, USER_CODE } from "./machine.ts";

const EXITS = [
  EXIT_BUDGET,
  EXIT_HALT,
  EXIT_LIVELOCK,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  EXIT_TRIPLE_FAULT,
];

const byte = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 0xffff });
/** Selectors near the tables rather than anywhere. */
const selector = fc.oneof(word, fc.integer({ min: 0, max: 0x7f }));
const action = fc.oneof(
  selector.map((s) => [asm.movImm(REG_EAX, s), asm.movToSeg(SEG_DS, REG_EAX), asm.load(SEG_DS, 0)]),
  selector.map((s) => [asm.movImm(REG_EAX, s), asm.movToSeg(SEG_SS, REG_EAX), asm.push(REG_EAX)]),
  selector.map((s) => [asm.farJump(s, CODE)]),
  selector.map((s) => [asm.farCall(s, CODE)]),
  selector.map((s) => [asm.pushImm(s), asm.pushImm(CODE), asm.retf]),
  fc
    .tuple(word, selector, selector)
    .map(([flags, cs, ss]) => [
      asm.pushImm(ss),
      asm.pushImm(0x9000),
      asm.pushImm(flags | (flags << 16)),
      asm.pushImm(cs),
      asm.pushImm(CODE),
      asm.iret,
    ]),
  byte.map((vector) => [asm.intN(vector)]),
  selector.map((s) => [asm.movImm(REG_EAX, s), asm.lldt(REG_EAX)]),
  selector.map((s) => [asm.movImm(REG_EAX, s), asm.ltr(REG_EAX)]),
);

it("random descriptors, gates and task states end in a named exit", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 3),
      fc.boolean(),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      fc.array(fc.tuple(byte, fc.uint8Array({ minLength: 8, maxLength: 8 })), { maxLength: 8 }),
      fc.uint8Array({ minLength: 104, maxLength: 104 }),
      fc.array(action, { minLength: 1, maxLength: 4 }),
      (ring, nested, descriptors, gates, tss, actions) => {
        const m = new Machine();
        m.enter(ring);
        if (nested) m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_NT);
        m.write(GDT + FREE, [...descriptors]);
        for (const [vector, gate] of gates) m.write(IDT + 8 * vector, [...gate]);
        m.write(TSS, [...tss]);
        m.assemble(ring === 3 ? USER_CODE : CODE, ...actions.flat(), asm.hlt);

        expect(EXITS).toContain(m.run(2000));

        m.destroy();
      },
    ),
    { numRuns: 300 },
  );
});
