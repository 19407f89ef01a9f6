/** What an image has of a vCPU that is not at rest. */
import { expect, onTestFinished, test } from "vitest";
import { REG_EBX, REG_EDX } from "../../../abi/x86.ts";
import {
  HYPERVISOR_MULTICALL,
  HYPERVISOR_SCHED_OP,
  HYPERVISOR_STACK_SWITCH,
  SCHEDOP_BLOCK,
} from "../../../abi/xen.ts";
import {
  CUR_EAX,
  CUR_EBX,
  CUR_ECX,
  CUR_EDX,
  CUR_EIP,
  MULTICALL_ENTRY_BYTES,
  VGC_BYTES,
  VGC_USER_REGS,
} from "../../../abi/xen-layout.ts";
import { saveRegisters } from "../../../host-ts/xen/image/vcpu-record.ts";
import { DATA, HostDomain } from "./host-domain.ts";

function registersOf({ vcpu }: HostDomain): DataView {
  const context = new DataView(new ArrayBuffer(VGC_BYTES));
  saveRegisters(vcpu, context, { assists: 0, rename: (mfn) => mfn });
  return context;
}

test("a vCPU that waits within a multicall makes it again for the entries that are left", () => {
  const guest = new HostDomain();
  onTestFinished(() => guest.destroy());
  const entries = [
    [HYPERVISOR_SCHED_OP, 0, SCHEDOP_BLOCK, DATA],
    [HYPERVISOR_STACK_SWITCH, 0, 0xe02b, DATA],
  ];
  for (let left = 1; left >= 0; left--) {
    const list = DATA + 0x100 + (1 - left) * 0x100;
    for (const [i, words] of entries.slice(0, 1 + left).entries()) {
      guest.write32(list + i * MULTICALL_ENTRY_BYTES, ...words);
    }
    guest.vcpu.setGpr(REG_EDX, 0x1234);
    expect(guest.tryCall(HYPERVISOR_MULTICALL, list, 1 + left, 0x1234)).toBeUndefined();
    const context = registersOf(guest);
    const register = (at: number) => context.getUint32(VGC_USER_REGS + at, true);
    const next = list + MULTICALL_ENTRY_BYTES;
    expect([CUR_EAX, CUR_EBX, CUR_ECX, CUR_EDX].map(register)).toEqual([
      HYPERVISOR_MULTICALL,
      next,
      left,
      0x1234,
    ]);
    expect(register(CUR_EIP)).toBe(guest.vcpu.eip - 2);
    expect(guest.vcpu.gpr(REG_EBX)).toBe(list);
    guest.domain.waiting.wake(guest.vcpu);
    guest.call(HYPERVISOR_STACK_SWITCH, 0xe02b, DATA);
  }
});
