/**
 * What hypercalls cost inside the core: a hand-assembled kernel in a bare Xen domain, without a Host around it.
 *
 * Usage: tsx bench/xen.ts [--core FILE]... [--only NAME]... [--repeat N] [--ms N]
 * Cores that are compared take turns. CPU nanoseconds per operation, medians.
 */
import { parseArgs } from "node:util";
import { EXIT_BUDGET, EXIT_HYPERCALL } from "../abi/vcpu.ts";
import {
  PTE_P,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  REG_ESI,
  VECTOR_GP,
  VECTOR_PF,
} from "../abi/x86.ts";
import {
  DOMID_SELF,
  FLAT_RING1_SS,
  HYPERVISOR_IRET,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_MULTICALL,
  HYPERVISOR_STACK_SWITCH,
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_XEN_VERSION,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_TLB_FLUSH_LOCAL,
  MMUEXT_UNPIN_TABLE,
  UVMF_INVLPG,
  UVMF_NONE,
} from "../abi/xen.ts";
import { PGT_L3 } from "../abi/xen-memory.ts";
import { type Core, instantiateCore } from "../host-ts/base/core.ts";
import { threadCpuMs } from "../host-ts/launcher/thread-clock.ts";
import { type Code, intN, iret, le, movImm, push } from "../test/unit/protect/assembler.ts";
import {
  CODE,
  Domain,
  entryAt,
  entryOf,
  FREE_PAGE,
  HANDLERS,
  KERNEL_STACK,
  L1_PAGE,
  L2_PAGE,
  L3_PAGE,
  mfnOf,
  RO,
  RW,
  STOP,
  STOP_HANDLER,
  UNMAPPED_PAGE,
  USER_CODE,
} from "../test/unit/xen/domain.ts";
import { loadCore } from "./ours.ts";
import { median } from "./report.ts";

const { values } = parseArgs({
  options: {
    core: { type: "string", multiple: true, default: ["build/core.wasm"] },
    only: { type: "string", multiple: true },
    repeat: { type: "string", default: "7" },
    ms: { type: "string", default: "60" },
  },
});

const BATCH = 32;
const PAGE = 4096;
/** Pages that are mapped in turn. */
const FIRST_TARGET = 0x80;
const LISTS = 0x60 * PAGE;
const SYSCALL = 0x80;

/** `body` as often as EBP says (DEC EBP; JNZ), and a stop. */
function loop(body: Code): Code {
  const back = -(body.length + 7);
  return [...body, 0x4d, 0x0f, 0x85, ...le(back, 4), ...movImm(REG_EAX, STOP), ...intN(0x82)];
}
const call = (number: number, ...args: number[]): Code => [
  ...args.flatMap((value, i) => movImm([REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI][i]!, value)),
  ...movImm(REG_EAX, number),
  ...intN(0x82),
];

interface Case {
  name: string;
  /** Operations in one turn of the loop. */
  operations: number;
  prepare(domain: Domain): { ring: number; body: Code };
}
const va = (i: number): number => (UNMAPPED_PAGE + i) * PAGE;
const mapped = (i: number, phase: number): number => entryOf(FIRST_TARGET + i + phase * BATCH, RW);

function uvams(phases: readonly ((i: number) => number)[], flags: number): Code {
  return phases.flatMap((low) =>
    Array.from({ length: BATCH }, (_, i) =>
      call(HYPERVISOR_UPDATE_VA_MAPPING, va(i), low(i), 0, flags),
    ).flat(),
  );
}
function multicalls(
  domain: Domain,
  phases: readonly ((i: number) => number)[],
  flags: number,
): Code {
  return phases.flatMap((low, phase) => {
    const list = LISTS + phase * PAGE;
    for (let i = 0; i < BATCH; i++) {
      const entry = list + i * 32;
      domain.write32(entry, HYPERVISOR_UPDATE_VA_MAPPING, 0, va(i), low(i), 0, flags, 0, 0);
    }
    return call(HYPERVISOR_MULTICALL, list, BATCH);
  });
}
function updates(domain: Domain, phases: readonly ((i: number) => number)[], batch: number): Code {
  return phases.flatMap((low, phase) => {
    const list = LISTS + phase * PAGE;
    for (let i = 0; i < BATCH; i++) {
      domain.write32(list + i * 16, entryAt(L1_PAGE, UNMAPPED_PAGE + i), 0, low(i), 0);
    }
    return Array.from({ length: BATCH / batch }, (_, i) =>
      call(HYPERVISOR_MMU_UPDATE, list + i * batch * 16, batch, 0, DOMID_SELF),
    ).flat();
  });
}
const ALTERNATE = [(i: number) => mapped(i, 0), (i: number) => mapped(i, 1)];
const SAME = [(i: number) => mapped(i, 0), (i: number) => mapped(i, 0)];
const RIGHTS = [(i: number) => mapped(i, 0), (i: number) => entryOf(FIRST_TARGET + i, RO)];
const CLEAR = [(i: number) => mapped(i, 0), () => 0];
const NULL_CALL = call(HYPERVISOR_XEN_VERSION, 0);

function kernel(name: string, operations: number, body: (domain: Domain) => Code): Case {
  return { name, operations, prepare: (domain) => ({ ring: 1, body: body(domain) }) };
}
/** A second address space over the same tables. */
function secondSpace(domain: Domain): number {
  const top = FREE_PAGE;
  const last = FREE_PAGE + 1;
  domain.setEntry(top, 0, entryOf(L2_PAGE, PTE_P));
  domain.setEntry(top, 3, entryOf(last, PTE_P));
  for (const page of [top, last]) {
    domain.call(HYPERVISOR_UPDATE_VA_MAPPING, page * PAGE, entryOf(page, RO), 0, UVMF_INVLPG);
  }
  const refused = domain.core.exports.xenPin(domain.vcpu.ptr, mfnOf(top), PGT_L3);
  if (refused !== 0) throw new Error(`second space: ${refused}`);
  return mfnOf(top);
}
const ext = (domain: Domain, at: number, ...ops: (readonly [number, number])[]): Code => {
  domain.write32(LISTS + at, ...ops.flatMap(([command, arg]) => [command, arg, 0]));
  return call(HYPERVISOR_MMUEXT_OP, LISTS + at, ops.length, 0, DOMID_SELF);
};
/** A table with so many entries is pinned and unpinned. */
function pins(domain: Domain, entries: number): Code {
  const table = FREE_PAGE + 3;
  for (let i = 0; i < entries; i++) domain.setEntry(table, i, mapped(i & 63, 0));
  domain.call(HYPERVISOR_UPDATE_VA_MAPPING, table * PAGE, entryOf(table, RO), 0, UVMF_INVLPG);
  return ext(domain, 0, [MMUEXT_PIN_L1_TABLE, mfnOf(table)], [MMUEXT_UNPIN_TABLE, mfnOf(table)]);
}
const user = (name: string, handler: Code, vector: number, body: Code): Case => ({
  name,
  operations: 1,
  prepare: (domain) => {
    domain.call(HYPERVISOR_STACK_SWITCH, FLAT_RING1_SS, KERNEL_STACK);
    domain.setTraps([vector, 3], [VECTOR_GP, 0]);
    domain.assemble(HANDLERS + vector * 16, handler);
    return { ring: 3, body };
  },
});
const skip = (bytes: number): Code => [0x83, 0x04, 0x24, bytes];

const CASES: Case[] = [
  user("int80 iret", iret, SYSCALL, [...movImm(REG_EAX, 20), ...intN(SYSCALL)]),
  user(
    "int80 hyperiret",
    [...push(REG_EAX), ...movImm(REG_EAX, HYPERVISOR_IRET), ...intN(0x82)],
    SYSCALL,
    [...movImm(REG_EAX, 20), ...intN(SYSCALL)],
  ),
  user("pf bounce", [0x83, 0xc4, 4, ...skip(5), ...iret], VECTOR_PF, [0xa1, ...le(0x00900000, 4)]),
  kernel("null", 8, () => Array.from({ length: 8 }, () => NULL_CALL).flat()),
  { ...kernel("leave", 8, () => Array.from({ length: 8 }, () => call(60)).flat()) },
  kernel("uvam", 64, () => uvams(ALTERNATE, UVMF_INVLPG)),
  kernel("multi uvam", 64, (domain) => multicalls(domain, ALTERNATE, UVMF_INVLPG)),
  kernel("uvam noflush", 64, () => uvams(ALTERNATE, UVMF_NONE)),
  kernel("multi uvam noflush", 64, (domain) => multicalls(domain, ALTERNATE, UVMF_NONE)),
  kernel("uvam same", 64, () => uvams(SAME, UVMF_INVLPG)),
  kernel("multi uvam same", 64, (domain) => multicalls(domain, SAME, UVMF_INVLPG)),
  kernel("uvam rights", 64, () => uvams(RIGHTS, UVMF_INVLPG)),
  kernel("multi uvam rights", 64, (domain) => multicalls(domain, RIGHTS, UVMF_INVLPG)),
  kernel("uvam clear", 64, () => uvams(CLEAR, UVMF_INVLPG)),
  kernel("multi uvam clear", 64, (domain) => multicalls(domain, CLEAR, UVMF_INVLPG)),
  kernel("mmu_update 1", 64, (domain) => updates(domain, ALTERNATE, 1)),
  kernel("mmu_update 32", 64, (domain) => updates(domain, ALTERNATE, BATCH)),
  kernel("multi null", 32, (domain) => {
    for (let i = 0; i < BATCH; i++) {
      domain.write32(LISTS + i * 32, HYPERVISOR_XEN_VERSION, 0, 0, 0, 0, 0, 0, 0);
    }
    return call(HYPERVISOR_MULTICALL, LISTS, BATCH);
  }),
  kernel("baseptr", 2, (domain) => {
    const second = secondSpace(domain);
    return [
      ...ext(domain, 0, [MMUEXT_NEW_BASEPTR, second]),
      ...ext(domain, 12, [MMUEXT_NEW_BASEPTR, mfnOf(L3_PAGE)]),
    ];
  }),
  kernel("baseptr dirty", 2, (domain) => {
    const second = secondSpace(domain);
    return [
      ...ext(domain, 0, [MMUEXT_NEW_BASEPTR, second]),
      ...call(HYPERVISOR_UPDATE_VA_MAPPING, va(0), mapped(0, 0), 0, UVMF_INVLPG),
      ...ext(domain, 12, [MMUEXT_NEW_BASEPTR, mfnOf(L3_PAGE)]),
      ...call(HYPERVISOR_UPDATE_VA_MAPPING, va(0), mapped(0, 1), 0, UVMF_INVLPG),
    ];
  }),
  kernel("flush local", 1, (domain) => ext(domain, 0, [MMUEXT_TLB_FLUSH_LOCAL, 0])),
  kernel("pin L1", 1, (domain) => pins(domain, 512)),
  kernel("pin L1 of 16", 1, (domain) => pins(domain, 16)),
  kernel("empty loop", 1, () => []),
];

function measure(core: Core, which: Case): number {
  const domain = new Domain(core);
  const { exports } = core;
  const v = domain.vcpu;
  const { ring, body } = which.prepare(domain);
  const start = ring === 3 ? USER_CODE : CODE;
  const run = (turns: number): number => {
    domain.enter(ring);
    v.setGpr(REG_EBP, turns);
    const before = threadCpuMs();
    while (true) {
      const reason = exports.run(v.ptr, 100_000);
      if (reason === EXIT_BUDGET) continue;
      if (reason !== EXIT_HYPERCALL)
        throw new Error(
          `${which.name}: exit ${reason} ${[0, 1, 2, 3].map((i) => v.exitArg(i).toString(16))} at ${v.eip.toString(16)}`,
        );
      if (v.exitArg(0) === STOP || v.exitArg(0) === STOP_HANDLER + VECTOR_GP) break;
      exports.xenReturn(v.ptr, -38);
    }
    return threadCpuMs() - before;
  };
  const code = loop(body);
  for (const [i, byte] of code.entries()) domain.poke(mfnOf(start / PAGE) * PAGE + i, byte);
  domain.enter(ring);
  run(1);
  let turns = 100;
  let ms = run(turns);
  while (ms < Number(values.ms)) {
    turns = Math.ceil(
      turns * Math.max(1.5, Math.min(20, (1.2 * Number(values.ms)) / Math.max(ms, 0.1))),
    );
    ms = run(turns);
  }
  domain.destroy();
  return (ms * 1e6) / (turns * which.operations);
}

const cores = values.core.map((file) => ({ file, core: instantiateCore(loadCore(file)) }));
console.log(`${"ns".padEnd(22)}${cores.map(({ file }) => file.padStart(24)).join("")}`);
for (const which of CASES) {
  if (values.only !== undefined && !values.only.some((name) => which.name.includes(name))) continue;
  const results = cores.map((): number[] => []);
  for (let i = 0; i < Number(values.repeat); i++) {
    for (const [k, { core }] of cores.entries()) results[k]!.push(measure(core, which));
  }
  console.log(
    `${which.name.padEnd(22)}${results.map((own) => median(own).toFixed(1).padStart(24)).join("")}`,
  );
}
