/**
 * LGUEST_INIT: the guest names its struct lguest_data, and Host and guest tell each other what they need to know.
 * There is no version in the interface; the two layouts are told apart by the word at the old kernel_address.
 */

import {
  LG_DATA_OLD_BYTES,
  LG_DATA_OLD_KERNEL_ADDRESS,
  LG_DATA_OLD_NOIRQ_END,
  LG_DATA_OLD_NOIRQ_START,
  LG_DATA_OLD_SYSCALL_VECTOR,
  LG_DATA_PCI_BYTES,
  LG_DATA_PCI_KERNEL_ADDRESS,
  LG_DATA_PCI_NOIRQ_IRET,
  LG_DATA_PCI_SYSCALL_VECTOR,
  LG_DATA_RESERVE_MEM,
  LG_DATA_TSC_KHZ,
  LGUEST_SWITCHER_LIN,
  LGUEST_SYSCALL_VECTOR,
} from "../../abi/lguest.ts";
import {
  VCPU_LG_DATA,
  VCPU_LG_KERNEL,
  VCPU_LG_NOIRQ_END,
  VCPU_LG_NOIRQ_START,
  VCPU_LG_RING_CURSOR,
  VCPU_LG_SWITCHER,
  VCPU_LG_SYSCALL_VECTOR,
} from "../../abi/vcpu.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { TSC_KHZ } from "../base/time.ts";
import { DEATHS } from "./kill-reasons.ts";

/** The two device varieties, each with its layout of struct lguest_data. */
export type Variety = "page" | "pci";

/** No system-call vector is anywhere near a kernel address. */
const VECTORS = 0x100;

/**
 * Performs the handshake: fills in what the Host tells and takes over what the guest tells.
 * @param otherSyscallVector accepted besides 0x80
 * @returns the guest's variety; undefined when the guest was killed.
 */
export function shakeHands(
  host: PersonalityHost,
  dataGpa: number,
  wanted: "auto" | Variety,
  otherSyscallVector: number,
): Variety | undefined {
  const { memory, vcpu } = host;
  const fits = (bytes: number) => dataGpa + bytes <= memory.ramBytes;
  if (dataGpa === 0 || !fits(LG_DATA_PCI_BYTES)) {
    host.kill(DEATHS.badDataPage(dataGpa));
    return undefined;
  }
  const variety =
    wanted === "auto" ? tellApart(memory.readU32(dataGpa + LG_DATA_OLD_KERNEL_ADDRESS)) : wanted;
  const isPage = variety === "page";
  if (isPage && !fits(LG_DATA_OLD_BYTES)) {
    host.kill(DEATHS.badDataPage(dataGpa));
    return undefined;
  }
  const word = (old: number, pci: number) => memory.readU32(dataGpa + (isPage ? old : pci));

  memory.writeU32(dataGpa + LG_DATA_TSC_KHZ, TSC_KHZ);
  const syscallVector = word(LG_DATA_OLD_SYSCALL_VECTOR, LG_DATA_PCI_SYSCALL_VECTOR);
  if (syscallVector !== LGUEST_SYSCALL_VECTOR && syscallVector !== otherSyscallVector) {
    host.kill(DEATHS.badSyscallVector());
    return undefined;
  }
  const kernelLin = word(LG_DATA_OLD_KERNEL_ADDRESS, LG_DATA_PCI_KERNEL_ADDRESS);
  if (kernelLin >= LGUEST_SWITCHER_LIN >>> 0) {
    host.kill(DEATHS.badKernelAddress(kernelLin));
    return undefined;
  }
  memory.writeU32(dataGpa + LG_DATA_RESERVE_MEM, -LGUEST_SWITCHER_LIN);

  const noIrqStart = word(LG_DATA_OLD_NOIRQ_START, LG_DATA_PCI_NOIRQ_IRET);
  vcpu.setU32(VCPU_LG_DATA, dataGpa);
  vcpu.setU32(VCPU_LG_KERNEL, kernelLin);
  vcpu.setU32(VCPU_LG_SWITCHER, LGUEST_SWITCHER_LIN);
  vcpu.setU32(VCPU_LG_SYSCALL_VECTOR, syscallVector);
  vcpu.setU32(VCPU_LG_RING_CURSOR, 0);
  vcpu.setU32(VCPU_LG_NOIRQ_START, noIrqStart);
  vcpu.setU32(
    VCPU_LG_NOIRQ_END,
    isPage ? memory.readU32(dataGpa + LG_DATA_OLD_NOIRQ_END) : noIrqStart + 1,
  );
  host.core.exports.flushAll(vcpu.ptr);
  return variety;
}

/** The word is the kernel's address in the old layout and the system-call vector in the pci one. */
function tellApart(word: number): Variety {
  return word < VECTORS ? "pci" : "page";
}
