/**
 * Random bytes as code, random segments, tables and modes: the core must come back with an exit, must not throw, and must leave
 * every other guest alone. WASMVISOR_SEED and WASMVISOR_CASES choose another run.
 */
import { describe, expect, it } from "vitest";
import {
  EXIT_REASONS,
  PAGING_32,
  PAGING_NONE,
  PAGING_PAE,
  POLICY_EXIT,
  POLICY_LGUEST,
  POLICY_NATIVE,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_MMIO_COUNT,
  VCPU_PAGING,
  VCPU_POLICY,
} from "../../abi/vcpu.ts";
import { ATTR_MASK, CR0_PE, CR0_PG, CR4_PAE, EFLAGS_FIXED } from "../../abi/x86.ts";
import { BareMachine, CODE } from "../drivers/bare-machine.ts";
import { interesting, Random } from "../drivers/random.ts";

const SEED = Number(process.env.WASMVISOR_SEED ?? 1);
const CASES = Number(process.env.WASMVISOR_CASES ?? 4000);
const CASES_PER_TABLES = 50;
const BUDGET = 300;
const CODE_BYTES = 48;
const GDT = 0x8000;
const IDT = 0x9000;
const DIRECTORY = 0xa000;
const TABLE = 0xb000;
/** Bytes that begin something unusual: prefixes, escapes, segment loads. */
const UNUSUAL = [0x0f, 0x66, 0x67, 0xf3, 0xf2, 0xf0, 0x2e, 0x64, 0xff, 0x8e, 0xd9, 0xdb, 0xdf];
const ATTRS = [0x93, 0x9b, 0xf3, 0xfb, 0x97, 0x91, 0x99, 0x4093, 0xc093, 0xc09b, 0xc0fb, 0];
const EFLAGS_ANY = 0x3f7700;
const CR0_ANY = 0x5002e;
const CR4_ANY = 0x6df;

const randomBytes = (random: Random, length: number) =>
  Array.from({ length }, () => random.below(256));

/** Descriptors and gates of pure noise, and page tables whose entries point into memory with random rights. */
function writeTables(machine: BareMachine, random: Random): void {
  machine.write(GDT, randomBytes(random, 256));
  machine.write(IDT, randomBytes(random, 2048));
  for (const table of [DIRECTORY, TABLE]) {
    for (let i = 0; i < 64; i++) {
      const entry = (random.below(80) << 12) | random.below(0x1000);
      machine.write(table + 4 * i, [entry, entry >> 8, entry >> 16, 0]);
    }
  }
}

function randomState(machine: BareMachine, random: Random): void {
  const { vcpu } = machine;
  machine.write(
    CODE,
    Array.from({ length: CODE_BYTES }, () =>
      random.below(4) === 0 ? random.pick(UNUSUAL) : random.below(256),
    ),
  );
  for (let r = 0; r < 8; r++) {
    vcpu.setGpr(r, random.below(3) === 0 ? interesting(random) : random.below(0x48000));
  }
  for (let s = 0; s < 6; s++) {
    const isRandom = random.below(3) === 0;
    vcpu.setSegment(s, {
      selector: isRandom ? random.below(256) : s === 1 ? 8 : 16,
      base: isRandom && random.below(2) === 0 ? random.below(0x10000) : 0,
      limit: isRandom ? random.pick([0xffffffff, 0xffff, 0xfff]) : 0xffffffff,
      attr: isRandom
        ? random.pick([...ATTRS, random.u32() & ATTR_MASK])
        : (s === 1 ? 0x9b : 0x93) | 0xc000,
    });
  }
  const paging = random.pick([PAGING_NONE, PAGING_NONE, PAGING_32, PAGING_PAE]);
  vcpu.setU32(VCPU_CPL, random.pick([0, 0, 1, 3]));
  vcpu.setU32(VCPU_EFLAGS, (random.u32() & EFLAGS_ANY) | EFLAGS_FIXED);
  vcpu.setU32(VCPU_EIP, CODE);
  vcpu.setU32(VCPU_PAGING, paging);
  vcpu.setU32(VCPU_CR3, DIRECTORY);
  vcpu.setU32(VCPU_CR0, CR0_PE | (paging === PAGING_NONE ? 0 : CR0_PG) | (random.u32() & CR0_ANY));
  vcpu.setU32(VCPU_CR4, (paging === PAGING_PAE ? CR4_PAE : 0) | (random.u32() & CR4_ANY));
  vcpu.setU32(VCPU_POLICY, random.pick([POLICY_NATIVE, POLICY_NATIVE, POLICY_EXIT, POLICY_LGUEST]));
  vcpu.setU32(VCPU_GDTR_BASE, GDT);
  vcpu.setU32(VCPU_GDTR_LIMIT, 255);
  vcpu.setU32(VCPU_IDTR_BASE, IDT);
  vcpu.setU32(VCPU_IDTR_LIMIT, 2047);
  vcpu.setU32(VCPU_MMIO_COUNT, 0);
  machine.updateMode();
}

describe("hostile code", () => {
  it(`ends in an exit and leaves other guests alone (seed ${SEED}, ${CASES} cases)`, () => {
    const random = new Random(SEED);
    const machine = new BareMachine();
    const neighbour = machine.createNeighbour();
    const pattern = randomBytes(random, 4096);
    for (let gpa = 0; gpa < 0x10000; gpa += pattern.length) neighbour.write(gpa, pattern);
    for (let index = 0; index < CASES; index++) {
      if (index % CASES_PER_TABLES === 0) writeTables(machine, random);
      randomState(machine, random);
      const code = Buffer.from(machine.read(CODE, CODE_BYTES)).toString("hex");
      let reason = -1;
      try {
        reason = machine.run(BUDGET)[0]!;
      } catch (error) {
        expect.fail(`seed ${SEED}, case ${index}, code ${code}: ${error}`);
      }
      expect(reason, code).toBeGreaterThanOrEqual(0);
      expect(reason, code).toBeLessThan(EXIT_REASONS);
    }
    for (let gpa = 0; gpa < 0x10000; gpa += pattern.length) {
      expect(neighbour.read(gpa, pattern.length)).toEqual(pattern);
    }
  });
});
