/** Code where no RAM is: a processor reads ones there, and FF FF is no instruction. */
import { describe, expect, it } from "vitest";
import { REG_EAX, VECTOR_UD } from "../../../abi/x86.ts";
import { type Code, hlt, le } from "../protect/assembler.ts";
import { CODE, Machine } from "../protect/machine.ts";

const RAM_BYTES = 0x100000;
const jmpEax: Code = [0xff, 0xe0];
const movEax: Code = [0xb8];

/** Runs `code` with EAX set. @returns the vector it ended with, and where. */
function run(m: Machine, eax: number, code: Code): readonly [vector: number, eip: number] {
  m.assemble(CODE, code, hlt);
  m.vcpu.setGpr(REG_EAX, eax);
  m.enter(0);
  const vector = m.runToHalt();
  return [vector, m.frame(1)[0]!];
}

describe("code outside RAM", () => {
  it.each([RAM_BYTES, 0xd0000000, 0xd0000fff, 0xfee00000, 0xfffffff0])(
    "at %i is #UD there",
    (address) => {
      const m = new Machine();
      for (let i = 0; i < 2; i++) {
        expect(run(m, address, jmpEax)).toEqual([VECTOR_UD, address]);
      }
      m.destroy();
    },
  );

  it("an instruction that begins in RAM ends with ones", () => {
    const m = new Machine();
    m.write(RAM_BYTES - 1, movEax);
    expect(run(m, RAM_BYTES - 1, jmpEax)).toEqual([VECTOR_UD, RAM_BYTES + 4]);
    expect(m.vcpu.gpr(REG_EAX)).toBe(0xffffffff);
    m.destroy();
  });

  it("what was decoded there is not taken for memory's", () => {
    const m = new Machine();
    const address = 0x7000;
    m.write(address, [...movEax, ...le(7, 4), ...hlt]);
    expect(run(m, 0xd0000000 + address, jmpEax)).toEqual([VECTOR_UD, 0xd0000000 + address]);
    m.assemble(CODE, jmpEax);
    m.vcpu.setGpr(REG_EAX, address);
    m.enter(0);
    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.gpr(REG_EAX)).toBe(7);
    m.destroy();
  });

  it("a slice that ends before it makes no difference", () => {
    const m = new Machine();
    m.assemble(CODE, jmpEax);
    m.vcpu.setGpr(REG_EAX, 0xd0000000);
    m.enter(0);
    m.run(1);
    expect(m.vcpu.eip).toBe(0xd0000000);
    expect(m.runToHalt()).toBe(VECTOR_UD);
    m.destroy();
  });
});
