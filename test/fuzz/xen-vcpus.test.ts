/** Contexts of a kernel that means harm for a second vCPU: refused or begun, never with a throw, a hang or a reference that is lost. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  EXIT_KILL,
  EXIT_LIVELOCK,
  POLICY_XEN,
  VCPU_XEN_INFO,
} from "../../abi/vcpu.ts";
import {
  FLAT_RING1_CS,
  FLAT_RING1_DS,
  FLAT_RING3_CS,
  FLAT_RING3_SS,
  XEN_EINVAL,
} from "../../abi/xen.ts";
import {
  CUR_CS,
  CUR_DS,
  CUR_EIP,
  CUR_ESP,
  CUR_GS,
  CUR_SS,
  VCPU_INFO_BYTES,
  VGC_BYTES,
  VGC_CTRLREG,
  VGC_DEBUGREG,
  VGC_EVENT_CALLBACK_CS,
  VGC_FAILSAFE_CALLBACK_CS,
  VGC_FLAGS,
  VGC_GDT_ENTS,
  VGC_GDT_FRAMES,
  VGC_KERNEL_SS,
  VGC_LDT_BASE,
  VGC_LDT_ENTS,
  VGC_TRAP_CTXT,
  VGC_USER_REGS,
} from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../../host-ts/base/personality.ts";
import { VcpuBlock } from "../../host-ts/base/vcpu-block.ts";
import { loadContext } from "../../host-ts/xen/vcpu-context.ts";
import {
  CODE,
  DATA,
  Domain,
  FAILSAFE_HANDLER,
  FREE_PAGE,
  GDT_PAGE,
  KERNEL_STACK,
  L1_PAGE,
  L3_PAGE,
  mfnOf,
  SHARED_INFO_MFN,
  UNMAPPED_PAGE,
  USER_CODE,
} from "../unit/xen/domain.ts";

const cr3Of = (mfn: number): number => ((mfn << 12) | (mfn >>> 20)) >>> 0;

/** Where something of the context is, and what stands there in a good one. */
const GOOD: readonly (readonly [number, number])[] = [
  [VGC_USER_REGS + CUR_CS, FLAT_RING1_CS],
  [VGC_USER_REGS + CUR_SS, FLAT_RING1_DS],
  [VGC_USER_REGS + CUR_DS, FLAT_RING1_DS],
  [VGC_USER_REGS + CUR_EIP, CODE],
  [VGC_USER_REGS + CUR_ESP, KERNEL_STACK],
  [VGC_KERNEL_SS, FLAT_RING1_DS],
  [VGC_CTRLREG + 12, cr3Of(mfnOf(L3_PAGE))],
];
const PLACES = [
  ...GOOD.map(([at]) => at),
  ...[VGC_FLAGS, VGC_USER_REGS + CUR_GS, VGC_LDT_BASE, VGC_LDT_ENTS, VGC_GDT_ENTS],
  ...[VGC_GDT_FRAMES, VGC_GDT_FRAMES + 4, VGC_EVENT_CALLBACK_CS, VGC_FAILSAFE_CALLBACK_CS],
  ...[VGC_FAILSAFE_CALLBACK_CS + 4, VGC_DEBUGREG + 28, VGC_CTRLREG, VGC_TRAP_CTXT + 13 * 8 + 4],
];
const VALUES = [
  ...[0, 1, 3, 32, 512, 513, 1024, 7168, 7169, 8192, 8193, 0x77, 0x40000, 0x20202, 0xffffffff],
  ...[FLAT_RING1_CS, FLAT_RING1_DS, FLAT_RING3_CS, FLAT_RING3_SS, FLAT_RING1_CS & ~3, 7],
  ...[CODE, DATA, USER_CODE, UNMAPPED_PAGE << 12, KERNEL_STACK, FAILSAFE_HANDLER, 0xf5800000],
  ...[GDT_PAGE, FREE_PAGE, L1_PAGE, L3_PAGE].flatMap((page) => [mfnOf(page), cr3Of(mfnOf(page))]),
];
const change = fc.tuple(
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...PLACES) },
    { weight: 1, arbitrary: fc.nat(VGC_BYTES / 4 - 1).map((word) => word * 4) },
  ),
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...VALUES) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
  ),
);

test("any context is refused or begun, and every reference comes back", () => {
  let begun = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
      const domain = new Domain();
      const { exports } = domain.core;
      const second = new VcpuBlock(domain.core, exports.vcpuCreate(domain.guest, POLICY_XEN) >>> 0);
      try {
        second.setU32(VCPU_XEN_INFO, (SHARED_INFO_MFN << 12) + VCPU_INFO_BYTES);
        const context = new DataView(new ArrayBuffer(VGC_BYTES));
        for (const [at, value] of [...GOOD, ...changes]) context.setUint32(at, value, true);
        const host = { core: domain.core } as unknown as PersonalityHost;
        const answer = loadContext(host, second, context);
        expect([0, -XEN_EINVAL]).toContain(answer);
        if (answer === 0 && exports.xenStart(second.ptr) !== 0) {
          begun++;
          const reason = exports.run(second.ptr, 200);
          expect([EXIT_BUDGET, EXIT_HYPERCALL, EXIT_KILL, EXIT_LIVELOCK]).toContain(reason);
        }
        // The first one is none the worse for it.
        expect(domain.execute(1)).toBeGreaterThan(0);
        exports.xenDropTables(second.ptr);
        expect(domain.relinquish()).toBe(0);
      } finally {
        exports.vcpuDestroy(second.ptr);
        domain.destroy();
      }
    }),
    { numRuns: Number(process.env["WASMVISOR_XEN_RUNS"] ?? 200) },
  );
  expect(begun).toBeGreaterThan(10);
}, 600_000);
