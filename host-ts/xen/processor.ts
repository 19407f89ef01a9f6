/** The processor as a Xen guest's first vCPU finds it: ring 1, flat segments, paging on. Source: Xen's public arch-x86/xen-x86_32.h. */
import {
  HELD_GDT_XEN,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR4,
  VCPU_EFER,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_GPR,
  VCPU_HALTED,
  VCPU_HELD_GDT_COUNT,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
} from "../../abi/vcpu.ts";
import {
  ATTR_MASK,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  EFER_NXE,
  EFLAGS_FIXED,
  EFLAGS_IF,
  REG_ESI,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../abi/x86.ts";
import { FLAT_RING1_CS, FLAT_RING1_DS, FLAT_RING1_SS } from "../../abi/xen.ts";
import { PGT_L3 } from "../../abi/xen-memory.ts";
import { assertHost } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { StartOfDay } from "./builder.ts";

const GENERAL_REGISTERS = 8;
const KERNEL_CPL = 1;
/** High words of the descriptors behind FLAT_RING1_CS and FLAT_RING1_DS. */
const FLAT_CODE = 0x00cfbb00;
const FLAT_DATA = 0x00cfb300;

/** Makes a domain's page tables the ones in use, pinned, and sets its first vCPU to the kernel's entry. */
export function setProcessor(host: PersonalityHost, start: StartOfDay): void {
  const { core, vcpu } = host;
  const verbs = core.exports;
  for (const each of host.vcpus) setKernelMode(each);
  vcpu.setU32(VCPU_HALTED, 0);
  for (let register = 0; register < GENERAL_REGISTERS; register++) {
    vcpu.setU32(VCPU_GPR + 4 * register, 0);
  }
  vcpu.setU32(VCPU_EIP, start.entryLin);
  vcpu.setGpr(REG_ESP, start.stackLin);
  vcpu.setGpr(REG_ESI, start.startInfoLin);
  vcpu.setU32(VCPU_XEN_KERNEL_SS, FLAT_RING1_SS);
  vcpu.setU32(VCPU_XEN_KERNEL_SP, start.stackLin);
  const isGood =
    verbs.xenPin(vcpu.ptr, start.pageTableMfn, PGT_L3) === 0 &&
    verbs.xenSetBase(vcpu.ptr, start.pageTableMfn) === 0;
  assertHost(isGood, `the page tables at machine frame ${start.pageTableMfn} that we built pass`);
  verbs.updateMode(vcpu.ptr);
}

/** What a Xen guest cannot change, and the segments that it begins with. It is not up. */
export function setKernelMode(vcpu: VcpuBlock): void {
  vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IF);
  vcpu.setU32(VCPU_CPL, KERNEL_CPL);
  vcpu.setU32(VCPU_HALTED, 1);
  vcpu.setU32(VCPU_HELD_GDT_COUNT, HELD_GDT_XEN);
  vcpu.setU32(VCPU_CR0, CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
  vcpu.setU32(VCPU_CR4, vcpu.u32(VCPU_CR4) | CR4_PAE);
  vcpu.setU32(VCPU_EFER, EFER_NXE);
  const flat = (selector: number, high: number) => ({
    selector,
    base: 0,
    limit: 0xffffffff,
    attr: (high >>> 8) & ATTR_MASK,
  });
  vcpu.setSegment(SEG_CS, flat(FLAT_RING1_CS, FLAT_CODE));
  for (const segment of [SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS]) {
    vcpu.setSegment(segment, flat(FLAT_RING1_DS, FLAT_DATA));
  }
}
