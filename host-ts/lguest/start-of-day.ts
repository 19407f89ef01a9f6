/**
 * How an lguest domain begins: the kernel at its physical address, boot_params at 0, the command line after it, the initial
 * RAM disk at the top, and a processor at ring 1 in 1:1 linear mode.
 */

import {
  BOOT_PARAMS_GPA,
  BP_KEEP_SEGMENTS,
  BP_KERNEL_ALIGNMENT_VALUE,
  BP_SUBARCH_LGUEST,
  BP_VERSION_VALUE,
  LGUEST_CMDLINE_GPA,
  LGUEST_FLAT_CODE_HIGH,
  LGUEST_FLAT_DATA_HIGH,
  LGUEST_FLAT_LOW,
  LGUEST_GDT_ENTRIES,
  LGUEST_GDT_KERNEL_CS,
  LGUEST_GDT_KERNEL_DS,
  LGUEST_KERNEL_CPL,
  LGUEST_KERNEL_CS,
  LGUEST_KERNEL_DS,
} from "../../abi/lguest.ts";
import {
  BP_CMD_LINE_PTR,
  BP_E820_ENTRIES,
  BP_E820_RAM,
  BP_E820_TABLE,
  BP_HARDWARE_SUBARCH,
  BP_KERNEL_ALIGNMENT,
  BP_LOADER_VALUE,
  BP_LOADFLAGS,
  BP_RAMDISK_IMAGE,
  BP_RAMDISK_SIZE,
  BP_TYPE_OF_LOADER,
  BP_VERSION,
} from "../../abi/linux-boot.ts";
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  PAGING_NONE,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_GPR,
  VCPU_HALTED,
  VCPU_HELD_GDT,
  VCPU_HELD_GDT_COUNT,
  VCPU_PAGING,
} from "../../abi/vcpu.ts";
import {
  ATTR_MASK,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  EFLAGS_FIXED,
  EFLAGS_IF,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../abi/x86.ts";
import { ImageError } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { type KernelImage, requireFit } from "../boot/image.ts";

const GENERAL_REGISTERS = 8;

/** What is placed into a new domain. */
export interface Domain {
  readonly image: KernelImage;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string;
}

/**
 * Places a domain in fresh, zeroed memory and sets the processor to its entry.
 * @throws ImageError when kernel and initrd do not fit the guest's memory.
 */
export function startOfDay(host: PersonalityHost, domain: Domain): void {
  const initrdGpa = placeInitrd(host, domain);
  placeKernel(host, domain.image);
  placeBootParams(host, domain, initrdGpa);
  setProcessor(host, domain.image.entry);
}

function placeKernel({ memory }: PersonalityHost, image: KernelImage): void {
  requireFit(image, memory.ramBytes);
  for (const segment of image.segments) memory.write(segment.gpa, segment.bytes);
}

/** At the very top, page-aligned; the kernel must end below it. */
function placeInitrd({ memory }: PersonalityHost, domain: Domain): number {
  const { initrd, image } = domain;
  if (initrd === undefined) return 0;
  const kernelEnd = Math.max(...image.segments.map(({ gpa, memSize }) => gpa + memSize));
  const gpa = memory.ramBytes - roundUp(initrd.length);
  if (gpa < kernelEnd) {
    throw new ImageError(
      `initrd: ${initrd.length} bytes do not fit between the kernel's end at 0x${kernelEnd.toString(16)} ` +
        `and the end of RAM at 0x${memory.ramBytes.toString(16)}; give the guest more memory`,
      "HV_IMAGE_TOO_LARGE",
    );
  }
  memory.write(gpa, initrd);
  return gpa;
}

function placeBootParams({ memory }: PersonalityHost, domain: Domain, initrdGpa: number): void {
  const at = (offset: number) => BOOT_PARAMS_GPA + offset;
  memory.writeU8(at(BP_E820_ENTRIES), 1);
  memory.writeU64(at(BP_E820_TABLE), 0n);
  memory.writeU64(at(BP_E820_TABLE + 8), BigInt(memory.ramBytes));
  memory.writeU32(at(BP_E820_TABLE + 16), BP_E820_RAM);
  memory.writeU16(at(BP_VERSION), BP_VERSION_VALUE);
  memory.writeU8(at(BP_TYPE_OF_LOADER), BP_LOADER_VALUE);
  memory.writeU8(at(BP_LOADFLAGS), BP_KEEP_SEGMENTS);
  memory.writeU32(at(BP_RAMDISK_IMAGE), initrdGpa);
  memory.writeU32(at(BP_RAMDISK_SIZE), roundUp(domain.initrd?.length ?? 0));
  memory.writeU32(at(BP_CMD_LINE_PTR), LGUEST_CMDLINE_GPA);
  memory.writeU32(at(BP_KERNEL_ALIGNMENT), BP_KERNEL_ALIGNMENT_VALUE);
  memory.writeU32(at(BP_HARDWARE_SUBARCH), BP_SUBARCH_LGUEST);
  memory.write(LGUEST_CMDLINE_GPA, new TextEncoder().encode(`${domain.commandLine}\0`));
}

/** No stack, no gates, every general register 0: ESI = 0 is the pointer to boot_params. */
function setProcessor({ vcpu, core }: PersonalityHost, entry: number): void {
  for (let register = 0; register < GENERAL_REGISTERS; register++) {
    vcpu.setU32(VCPU_GPR + 4 * register, 0);
  }
  vcpu.setU32(VCPU_EIP, entry);
  vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IF);
  vcpu.setU32(VCPU_CPL, LGUEST_KERNEL_CPL);
  vcpu.setU32(VCPU_HALTED, 0);

  vcpu.setU32(VCPU_HELD_GDT_COUNT, LGUEST_GDT_ENTRIES);
  const describe = (index: number, high: number) => {
    vcpu.setU32(VCPU_HELD_GDT + 8 * index, LGUEST_FLAT_LOW);
    vcpu.setU32(VCPU_HELD_GDT + 8 * index + 4, high);
  };
  describe(LGUEST_GDT_KERNEL_CS, LGUEST_FLAT_CODE_HIGH);
  describe(LGUEST_GDT_KERNEL_DS, LGUEST_FLAT_DATA_HIGH);

  const flat = (selector: number, high: number) => ({
    selector,
    base: 0,
    limit: 0xffffffff,
    attr: (high >>> 8) & ATTR_MASK,
  });
  const empty = { selector: 0, base: 0, limit: 0, attr: 0 };
  vcpu.setSegment(SEG_CS, flat(LGUEST_KERNEL_CS, LGUEST_FLAT_CODE_HIGH));
  for (const segment of [SEG_SS, SEG_DS, SEG_ES]) {
    vcpu.setSegment(segment, flat(LGUEST_KERNEL_DS, LGUEST_FLAT_DATA_HIGH));
  }
  vcpu.setSegment(SEG_FS, empty);
  vcpu.setSegment(SEG_GS, empty);

  // Paging is on as far as the guest can tell; linear mode lasts until its first NEW_PGTABLE. WP: copy-on-write relies on it.
  vcpu.setU32(VCPU_CR0, CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
  vcpu.setU32(VCPU_PAGING, PAGING_NONE);
  core.exports.updateMode(vcpu.ptr);
}

function roundUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
}
