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
  CR4_MCE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_UMIP,
  EFER_NXE,
  EFER_SCE,
  EFLAGS_AC,
  MISC_FAST_STRINGS,
  MISC_LIMIT_CPUID,
  MISC_NO_TRACES,
  MISC_NO_XD_HIGH,
  MSR_ARCH_CAPABILITIES,
  MSR_EFER,
  MSR_FEATURE_CONTROL,
  MSR_K7_FIRST,
  MSR_MCG_CAP,
  MSR_MCG_STATUS,
  MSR_MICROCODE_REVISION,
  MSR_MISC_ENABLE,
  MSR_PAT,
  MSR_PRED_CMD,
  MSR_SPEC_CTRL,
  MSR_TSC_AUX,
  PRED_CMD_IBPB,
  REG_EAX,
  REG_EBX,
  REG_ECX,
  REG_EDX,
  SPEC_CTRL_IBRS,
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
const NAMES = Object.keys(MODELS) as Name[];
const INTEL: readonly Name[] = ["pentium3", "pentium4", "core2", "max"];
const MISC: readonly Name[] = ["pentium4", "core2", "max"];
/** Those with CPUID leaf 7, where a kernel reads that nothing speculates. */
const TELLING: readonly Name[] = ["i686", "core2", "max"];

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
const write = (index: number, low: number, high = 0): Code[] => [
  movImm(REG_ECX, index),
  movImm(REG_EAX, low),
  movImm(REG_EDX, high),
  wrmsr,
];

describe("CPUID", () => {
  it.each(NAMES)("tells the vendor of %s", (name) => {
    const [, ebx, ecx, edx] = run(name, leaf(0)).registers;
    const text = Buffer.from([ebx!, edx!, ecx!].flatMap((word) => le(word, 4))).toString();
    expect(text).toBe(INTEL.includes(name) ? "GenuineIntel" : "WasmvisorCPU");
  });

  it.each(INTEL)("a leaf that %s does not have is its highest basic one", (name) => {
    const [highest] = run(name, leaf(0)).registers;
    const expected = run(name, leaf(highest!)).registers;
    for (const number of [highest! + 1, 0x3fffffff, 0x41000000, 0x7fffffff, 0x80000009]) {
      expect(run(name, leaf(number)).registers, number.toString(16)).toEqual(expected);
    }
  });

  it("gives zeroes for leaves that the default does not have, and past the hypervisor's on all", () => {
    for (const number of [8, 0x3fffffff, 0x80000009]) {
      expect(run("i686", leaf(number)).registers).toEqual([0, 0, 0, 0]);
    }
    for (const name of NAMES) {
      expect(run(name, leaf(0x40000001)).registers).toEqual([0, 0, 0, 0]);
    }
  });

  it.each(NAMES)("CR4 of %s takes MCE where leaf 1 says so", (name) => {
    const [, , , edx] = run(name, leaf(1)).registers;
    const { vector } = run(name, [movImm(REG_EAX, CR4_MCE), movToCr(4, REG_EAX)]);
    expect(vector).toBe((edx! >>> 7) & 1 ? -1 : VECTOR_GP);
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

  it("leaf 7 says that nothing speculates, to kernels in ring 0, on models that have the leaf", () => {
    const edx = (name: Name, policy = POLICY_NATIVE, ring = 0) => {
      const answer = (number: number) => run(name, leaf(number), ring, 0, policy).registers;
      return answer(0)[0]! < 7 ? 0 : answer(7)[3]! >>> 0;
    };
    for (const name of NAMES) expect(edx(name)).toBe(TELLING.includes(name) ? 0x24000000 : 0);
    for (const name of NAMES) expect(edx(name, POLICY_LGUEST, 1)).toBe(0);
  });

  it.each<[Name, number, number]>([
    ["i686", 7, 1],
    ["pentium3", 2, 2],
    ["pentium4", 2, 2],
    ["core2", 7, 4],
    ["max", 7, 7],
  ])("the leaves of %s end at %i, for a paravirtual kernel at %i", (name, native, paravirtual) => {
    expect(run(name, leaf(0)).registers[0]).toBe(native);
    expect(run(name, leaf(0), 1, 0, POLICY_LGUEST).registers[0]).toBe(paravirtual);
  });

  it("leaf 4 gives the caches that leaf 2 names", () => {
    const cache = (index: number) => {
      const [eax, ebx, ecx] = run("core2", [
        movImm(REG_EAX, 4),
        movImm(REG_ECX, index),
        cpuid,
      ]).registers.map((word) => word >>> 0) as [number, number, number];
      const bytes = ((ebx >>> 22) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1);
      return { kind: eax & 0x1f, level: (eax >>> 5) & 7, bytes };
    };
    expect([0, 1, 2].map(cache)).toEqual([
      { kind: 1, level: 1, bytes: 32 << 10 },
      { kind: 2, level: 1, bytes: 32 << 10 },
      { kind: 3, level: 2, bytes: 6 << 20 },
    ]);
    expect(cache(3).kind).toBe(0);
    expect(run("core2", leaf(0x80000006 | 0)).registers[2]! >>> 16).toBe(6 << 10);
    expect(run("pentium4", leaf(0)).registers[0]).toBe(2);
  });

  it("MISC_ENABLE ends the leaves at 3 and takes the no-execute bit away", () => {
    const bits = write(MSR_MISC_ENABLE, MISC_LIMIT_CPUID, MISC_NO_XD_HIGH);
    expect(run("max", [...bits, ...leaf(0)]).registers[0]).toBe(3);
    expect(run("max", [...bits, ...leaf(7)]).registers).toEqual([0, 0, 0, 0]);
    const nx = (code: readonly Code[]) =>
      (run("max", [...code, ...leaf(0x80000001 | 0)]).registers[3]! >>> 20) & 1;
    expect([nx([]), nx(bits)]).toEqual([1, 0]);
    expect(run("max", [...bits, ...write(MSR_EFER, EFER_NXE)]).vector).toBe(VECTOR_GP);
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
    ["MISC_ENABLE", MSR_MISC_ENABLE, MISC, [MISC_FAST_STRINGS | MISC_NO_TRACES, 0]],
    ["how many banks report machine checks", MSR_MCG_CAP, INTEL, [0, 0]],
    ["the types of the page attribute table", MSR_PAT, NAMES, [0x00070406, 0x00070406]],
    ["what speculates: nothing", MSR_ARCH_CAPABILITIES, TELLING, [0x0d10e17b, 0x40000000]],
    ["SPEC_CTRL", MSR_SPEC_CTRL, TELLING, [0, 0]],
    ["FEATURE_CONTROL", MSR_FEATURE_CONTROL, ["core2", "max"], [1, 0]],
    ["AMD's counters", MSR_K7_FIRST, ["i686"], [0, 0]],
  ])("%s", (_name, index, has, value) => {
    for (const name of NAMES) {
      const { vector, registers } = read(name, index);
      expect(vector).toBe(has.includes(name) ? -1 : VECTOR_GP);
      if (vector === -1) expect([registers[0], registers[3]]).toEqual(value);
    }
  });

  it("RDTSCP and RDPID give what TSC_AUX holds, 32 bits", () => {
    const writeAux = (high: number) => write(MSR_TSC_AUX, 0x1234, high);
    const rdtscp = [0x0f, 0x01, 0xf9];
    const rdpidEbx = [0xf3, 0x0f, 0xc7, 0xfb];
    const { registers } = run("max", [...writeAux(0), rdtscp, rdpidEbx]);
    expect([registers[2], registers[1]]).toEqual([0x1234, 0x1234]);
    expect(run("max", writeAux(1)).vector).toBe(VECTOR_GP);
    expect(run("core2", writeAux(0)).vector).toBe(VECTOR_GP);
  });
});

describe("writes", () => {
  it("to MISC_ENABLE keep what exists and leave the rest as it was", () => {
    const read = [movImm(REG_ECX, MSR_MISC_ENABLE), rdmsr];
    const { registers } = run("max", [...write(MSR_MISC_ENABLE, 0xffffffff | 0, -1), ...read]);
    expect([registers[0]! >>> 0, registers[3]]).toEqual([0xc51809, 4]);
  });

  it.each<[string, number, number, readonly Name[]]>([
    ["EFER.SCE", MSR_EFER, EFER_SCE, ["core2", "max"]],
    ["EFER.LME", MSR_EFER, 0x100, []],
    ["SPEC_CTRL.IBRS", MSR_SPEC_CTRL, SPEC_CTRL_IBRS, TELLING],
    ["SPEC_CTRL.STIBP", MSR_SPEC_CTRL, 2, []],
    ["PRED_CMD.IBPB", MSR_PRED_CMD, PRED_CMD_IBPB, TELLING],
    ["another command", MSR_PRED_CMD, 2, []],
    ["ARCH_CAPABILITIES", MSR_ARCH_CAPABILITIES, 0, []],
    ["MCG_CAP", MSR_MCG_CAP, 0, []],
    ["MCG_STATUS", MSR_MCG_STATUS, 0, INTEL],
  ])("of %s", (_name, index, value, takes) => {
    for (const name of NAMES) {
      const expected = takes.includes(name) ? -1 : VECTOR_GP;
      expect(run(name, write(index, value)).vector, name).toBe(expected);
    }
  });

  it("PRED_CMD gives nothing to read", () => {
    for (const name of NAMES) expect(read(name, MSR_PRED_CMD).vector).toBe(VECTOR_GP);
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
