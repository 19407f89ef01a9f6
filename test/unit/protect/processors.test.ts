/** Processors by name: vendor and features in CPUID, the registers that go with them, UMIP, STAC and CLAC (docs/reference/processors.md). */
import { describe, expect, it } from "vitest";
import {
  CPU_MODEL_CORE2,
  CPU_MODEL_I686,
  CPU_MODEL_MAX,
  CPU_MODEL_PENTIUM3,
  CPU_MODEL_PENTIUM4,
  POLICY_LGUEST,
  POLICY_NATIVE,
  VCPU_CR4,
} from "../../../abi/vcpu.ts";
import {
  CR4_SMAP,
  CR4_SMEP,
  CR4_UMIP,
  EFLAGS_AC,
  MSR_FEATURE_CONTROL,
  MSR_K7_FIRST,
  MSR_MICROCODE_REVISION,
  MSR_MISC_ENABLE,
  MSR_TSC_AUX,
  REG_EAX,
  REG_EBX,
  REG_ECX,
  REG_EDX,
  VECTOR_GP,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import { type Code, cpuid, hlt, le, movImm, movToCr, rdmsr, wrmsr } from "./assembler.ts";
import { DATA, Machine } from "./machine.ts";

const MODELS = {
  i686: CPU_MODEL_I686,
  pentium3: CPU_MODEL_PENTIUM3,
  pentium4: CPU_MODEL_PENTIUM4,
  core2: CPU_MODEL_CORE2,
  max: CPU_MODEL_MAX,
};
type Name = keyof typeof MODELS;
const INTEL: readonly Name[] = ["pentium3", "pentium4", "core2", "max"];

/** Runs code on a model at a ring. @returns the vector it raised (-1 for none) and EAX, EBX, ECX, EDX. */
function run(name: Name, code: readonly Code[], ring = 0, cr4 = 0, policy = POLICY_NATIVE) {
  const m = new Machine(policy);
  m.core.exports.vcpuSetModel(m.vcpu.ptr, MODELS[name]);
  m.enter(ring);
  m.vcpu.setU32(VCPU_CR4, cr4);
  // Only ring 0 of a native guest can halt; anything else ends in a loop.
  const halts = policy === POLICY_NATIVE && ring === 0;
  m.assemble(m.vcpu.eip, ...code, halts ? hlt : [0xeb, 0xfe]);
  let vector: number | undefined;
  if (halts) vector = m.runToHalt();
  else m.run(code.length);
  const result = {
    vector,
    registers: [REG_EAX, REG_EBX, REG_ECX, REG_EDX].map((r) => m.vcpu.gpr(r)),
    flags: m.vcpu.eflags,
  };
  m.destroy();
  return result;
}
const leaf = (number: number): Code[] => [movImm(REG_EAX, number), movImm(REG_ECX, 0), cpuid];
const read = (name: Name, index: number) => run(name, [movImm(REG_ECX, index), rdmsr]);

describe("CPUID", () => {
  it.each(Object.keys(MODELS) as Name[])("tells the vendor of %s", (name) => {
    const [, ebx, ecx, edx] = run(name, leaf(0)).registers;
    const text = Buffer.from([ebx!, edx!, ecx!].flatMap((word) => le(word, 4))).toString();
    expect(text).toBe(INTEL.includes(name) ? "GenuineIntel" : "WasmvisorCPU");
  });

  it("leaf 7 hides from a paravirtual kernel what needs ring 0", () => {
    const features = (policy: number) => {
      const [, ebx, ecx] = run(
        "max",
        leaf(7),
        policy === POLICY_NATIVE ? 0 : 1,
        0,
        policy,
      ).registers;
      return [(ebx! >>> 7) & 1, (ebx! >>> 20) & 1, (ecx! >>> 2) & 1, (ecx! >>> 22) & 1];
    };
    expect(features(POLICY_NATIVE)).toEqual([1, 1, 1, 1]);
    expect(features(POLICY_LGUEST)).toEqual([0, 0, 0, 1]);
  });
});

describe("CR4", () => {
  it.each([CR4_UMIP, CR4_SMEP, CR4_SMAP])("takes bit 0x%x on max alone", (bit) => {
    const code = [movImm(REG_EAX, bit), movToCr(4, REG_EAX)];
    expect(run("max", code).vector).toBe(-1);
    expect(run("core2", code).vector).toBe(VECTOR_GP);
  });
});

describe("registers that are there by family and model", () => {
  it.each<[string, number, readonly Name[], readonly number[]]>([
    ["the microcode's revision", MSR_MICROCODE_REVISION, INTEL, [0, 1]],
    ["MISC_ENABLE", MSR_MISC_ENABLE, ["pentium4", "core2", "max"], [1, 0]],
    ["FEATURE_CONTROL", MSR_FEATURE_CONTROL, ["core2", "max"], [1, 0]],
    ["AMD's counters", MSR_K7_FIRST, ["i686"], [0, 0]],
  ])("%s", (_name, index, has, value) => {
    for (const name of Object.keys(MODELS) as Name[]) {
      const { vector, registers } = read(name, index);
      expect(vector).toBe(has.includes(name) ? -1 : VECTOR_GP);
      if (vector === -1) expect([registers[0], registers[3]]).toEqual(value);
    }
  });

  it("RDTSCP and RDPID give what TSC_AUX holds, 32 bits", () => {
    const write = (high: number): Code[] => [
      movImm(REG_ECX, MSR_TSC_AUX),
      movImm(REG_EAX, 0x1234),
      movImm(REG_EDX, high),
      wrmsr,
    ];
    const rdtscp = [0x0f, 0x01, 0xf9];
    const rdpidEbx = [0xf3, 0x0f, 0xc7, 0xfb];
    const { registers } = run("max", [...write(0), rdtscp, rdpidEbx]);
    expect([registers[2], registers[1]]).toEqual([0x1234, 0x1234]);
    expect(run("max", write(1)).vector).toBe(VECTOR_GP);
    expect(run("core2", write(0)).vector).toBe(VECTOR_GP);
  });
});

describe("UMIP", () => {
  it.each<[string, Code]>([
    ["SGDT", [0x0f, 0x01, 0x05, ...le(DATA, 4)]],
    ["SIDT", [0x0f, 0x01, 0x0d, ...le(DATA, 4)]],
    ["SLDT", [0x0f, 0x00, 0xc0]],
    ["STR", [0x0f, 0x00, 0xc8]],
    ["SMSW", [0x0f, 0x01, 0xe0]],
  ])("keeps %s to ring 0", (_name, code) => {
    const vectorIn = (ring: number, cr4: number) => {
      const m = new Machine();
      m.core.exports.vcpuSetModel(m.vcpu.ptr, CPU_MODEL_MAX);
      m.enter(ring);
      m.vcpu.setU32(VCPU_CR4, cr4);
      // UD2 says that it ran.
      m.assemble(m.vcpu.eip, code, [0x0f, 0x0b]);
      const vector = m.runToHalt();
      m.destroy();
      return vector;
    };
    expect(vectorIn(3, 0)).toBe(VECTOR_UD);
    expect(vectorIn(0, CR4_UMIP)).toBe(VECTOR_UD);
    expect(vectorIn(3, CR4_UMIP)).toBe(VECTOR_GP);
  });
});

describe("STAC and CLAC", () => {
  it("set and clear EFLAGS.AC in ring 0", () => {
    const stac = [0x0f, 0x01, 0xcb];
    const clac = [0x0f, 0x01, 0xca];
    expect(run("max", [stac]).flags & EFLAGS_AC).toBe(EFLAGS_AC);
    expect(run("max", [stac, clac]).flags & EFLAGS_AC).toBe(0);
  });

  it("are undefined in other rings", () => {
    for (const code of [
      [0x0f, 0x01, 0xcb],
      [0x0f, 0x01, 0xca],
    ]) {
      const m = new Machine();
      m.core.exports.vcpuSetModel(m.vcpu.ptr, CPU_MODEL_MAX);
      m.enter(3);
      m.assemble(m.vcpu.eip, code);
      expect(m.runToHalt()).toBe(VECTOR_UD);
      m.destroy();
    }
  });
});
