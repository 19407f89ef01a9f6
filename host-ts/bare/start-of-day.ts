/**
 * How a plain machine begins: the kernel at its addresses, modules behind it, the information structure of its boot protocol,
 * and a processor in the state which that protocol promises.
 * Source: Multiboot Specification, "Machine state"; docs/misc/pvh of Xen; SDM 3A, "Processor State After Reset".
 */
import { ACPI_TABLES_END, ACPI_TABLES_GPA } from "../../abi/acpi.ts";
import { LINUX_BOOT_CS, LINUX_BOOT_DS, LINUX_BOOT_GDT_BYTES } from "../../abi/linux-boot.ts";
import { PAGE_BYTES } from "../../abi/memory.ts";
import { MULTIBOOT_BOOT_MAGIC } from "../../abi/multiboot.ts";
import { PC_LOW_RAM_END, PC_RESET_OFFSET, PC_RESET_SELECTOR } from "../../abi/pc.ts";
import {
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_FCW,
  VCPU_FTW,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
} from "../../abi/vcpu.ts";
import {
  ATTR_DB,
  ATTR_G,
  ATTR_P,
  CR0_ET,
  CR0_PE,
  DESC_ACCESSED,
  DESC_CODE,
  DESC_READABLE,
  DESC_S,
  DESC_WRITABLE,
  EFLAGS_FIXED,
  REG_EAX,
  REG_EBX,
  REG_ESI,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
  SYSDESC_TSS32_BUSY,
} from "../../abi/x86.ts";
import { FCW_POWER_UP, FTW_POWER_UP } from "../../abi/x87.ts";
import { ImageError } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { type KernelImage, requireFit } from "../boot/image.ts";
import { buildAcpiTables } from "./acpi-tables.ts";
import { placeFirmware } from "./firmware.ts";
import { buildLinuxParams, LINUX_GDT_OFFSET } from "./linux-params.ts";
import type { BootInfo, PlacedModule } from "./memory-map.ts";
import { buildMultibootInfo } from "./multiboot-info.ts";
import { buildStartInfo } from "./pvh-info.ts";

/** What is placed into a new machine. */
export interface Domain {
  readonly image: KernelImage;
  /** The initial RAM disk is the first module. */
  readonly modules: readonly Uint8Array[];
  /** In the order of the modules; one without has the empty name. */
  readonly moduleNames: readonly string[];
  readonly commandLine: string;
}

/** Where information goes when the kernel leaves room there: conventional memory past the firmware's data. */
const INFO_GPA = 0x9000;
const KERNEL_CS = 0x08;
const KERNEL_DS = 0x10;
const TASK_LIMIT = 0x67;

/**
 * Places everything in memory, which is fresh or that of a kernel to be started over, and sets the first processor, which is at its
 * reset state, to its entry.
 * @throws ImageError when kernel and modules do not fit the guest's memory.
 */
export function startOfDay(host: PersonalityHost, domain: Domain, isFresh = true): void {
  const { memory } = host;
  const vcpu = host.vcpus[0]!;
  const { image } = domain;
  requireFit(image, memory.ramBytes);
  for (const { gpa, bytes, memSize } of image.segments) {
    memory.write(gpa, bytes);
    if (!isFresh) memory.fill(gpa + bytes.length, memSize - bytes.length, 0);
  }
  if (image.protocol === "reset-vector") {
    setRealState(vcpu, PC_RESET_SELECTOR, PC_RESET_OFFSET);
    vcpu.setU32(VCPU_FCW, FCW_POWER_UP);
    vcpu.setU32(VCPU_FTW, FTW_POWER_UP);
  } else {
    const modules = placeModules(host, domain);
    const { ramBytes } = memory;
    const { commandLine } = domain;
    const boot = { ramBytes, commandLine, modules, rsdpGpa: placeAcpiTables(host, image, modules) };
    const info = (gpa: number) => buildInfo(image, gpa, boot);
    const infoGpa = findRoom(host, image, modules, info(0).length);
    memory.write(infoGpa, info(infoGpa));
    placeFirmware(memory, image);
    const isLinux = image.protocol === "linux";
    setProtectedState(vcpu, image.entry, isLinux);
    if (isLinux) {
      vcpu.setU32(VCPU_GDTR_BASE, infoGpa + LINUX_GDT_OFFSET);
      vcpu.setU32(VCPU_GDTR_LIMIT, LINUX_BOOT_GDT_BYTES - 1);
      vcpu.setGpr(REG_ESI, infoGpa);
    } else {
      vcpu.setGpr(REG_EAX, image.protocol === "pvh" ? 0 : MULTIBOOT_BOOT_MAGIC);
      vcpu.setGpr(REG_EBX, infoGpa);
    }
  }
  host.core.exports.updateMode(vcpu.ptr);
}

function buildInfo(image: KernelImage, gpa: number, boot: BootInfo): Uint8Array {
  if (image.protocol === "linux") {
    return buildLinuxParams(gpa, boot, image.setupHeader ?? new Uint8Array());
  }
  return image.protocol === "pvh" ? buildStartInfo(gpa, boot) : buildMultibootInfo(gpa, boot);
}

/** Page by page behind the kernel, in order. */
function placeModules(
  { memory }: PersonalityHost,
  { image, modules, moduleNames }: Domain,
): PlacedModule[] {
  let gpa = roundUp(endOf(image));
  return modules.map((bytes, index) => {
    if (gpa + bytes.length > memory.ramBytes) {
      throw new ImageError(
        `module ${index}: ${bytes.length} bytes do not fit between 0x${gpa.toString(16)} and the end of RAM; ` +
          "give the guest more memory",
        "HV_IMAGE_TOO_LARGE",
      );
    }
    memory.write(gpa, bytes);
    const placed = { gpa, sizeBytes: bytes.length, name: moduleNames[index] ?? "" };
    gpa = roundUp(gpa + bytes.length);
    return placed;
  });
}

/** @returns the address of the root pointer, 0 when the kernel or a module lies where the tables go */
function placeAcpiTables(
  { memory, vcpus }: PersonalityHost,
  image: KernelImage,
  modules: readonly PlacedModule[],
): BootInfo["rsdpGpa"] {
  const isFree =
    image.segments.every(({ gpa, memSize }) => !meetsTables(gpa, memSize)) &&
    modules.every(({ gpa, sizeBytes }) => !meetsTables(gpa, sizeBytes));
  if (!isFree || memory.ramBytes < ACPI_TABLES_END) return 0;
  memory.write(ACPI_TABLES_GPA, buildAcpiTables(ACPI_TABLES_GPA, vcpus.length));
  return ACPI_TABLES_GPA;
}

function meetsTables(gpa: number, sizeBytes: number): boolean {
  return gpa < ACPI_TABLES_END && gpa + sizeBytes > ACPI_TABLES_GPA;
}

/** In conventional memory if the kernel does not lie there, else behind everything. */
function findRoom(
  { memory }: PersonalityHost,
  image: KernelImage,
  modules: readonly PlacedModule[],
  sizeBytes: number,
): number {
  const end = INFO_GPA + sizeBytes;
  const isFree = image.segments.every(
    ({ gpa, memSize }) => gpa >= end || gpa + memSize <= INFO_GPA,
  );
  const isClear = modules.every((module) => module.gpa >= end);
  if (isFree && isClear && end <= PC_LOW_RAM_END) return INFO_GPA;
  const last = modules.at(-1);
  const gpa = roundUp(last === undefined ? endOf(image) : last.gpa + last.sizeBytes);
  if (gpa + sizeBytes <= memory.ramBytes) return gpa;
  throw new ImageError(
    "kernel and modules leave no room for the boot information; give the guest more memory",
    "HV_IMAGE_TOO_LARGE",
  );
}

function endOf(image: KernelImage): number {
  return Math.max(...image.segments.map(({ gpa, memSize }) => gpa + memSize));
}

function roundUp(gpa: number): number {
  return Math.ceil(gpa / PAGE_BYTES) * PAGE_BYTES;
}

/**
 * Flat 32-bit segments, but for Linux's own protocol in registers only: the kernel brings its own tables before it loads a selector.
 */
function setProtectedState(vcpu: VcpuBlock, entry: number, isLinux: boolean): void {
  const flat = ATTR_P | ATTR_DB | ATTR_G | DESC_S | DESC_ACCESSED;
  const base = { base: 0, limit: 0xffffffff };
  const code = flat | DESC_CODE | DESC_READABLE;
  vcpu.setSegment(SEG_CS, { ...base, selector: isLinux ? LINUX_BOOT_CS : KERNEL_CS, attr: code });
  for (const segment of [SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS]) {
    const selector = isLinux ? LINUX_BOOT_DS : KERNEL_DS;
    vcpu.setSegment(segment, { ...base, selector, attr: flat | DESC_WRITABLE });
  }
  const task = { selector: 0, base: 0, limit: TASK_LIMIT, attr: ATTR_P | SYSDESC_TSS32_BUSY };
  vcpu.setSegment(SEG_TR, task);
  vcpu.setU32(VCPU_CR0, CR0_PE | CR0_ET);
  vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED);
  vcpu.setU32(VCPU_EIP, entry);
}

/**
 * Points a processor at its reset state to CS:IP in real mode; the caller has the core update the mode.
 *
 * DEVIATION: at the reset vector CS has the base that a far jump would give it, not the one of the reset: the image of the ROM below
 * 4 GiB is data only, and no program can tell but by a near jump past the reset vector's 16 bytes.
 */
export function setRealState(vcpu: VcpuBlock, selector: number, offset: number): void {
  const attr = ATTR_P | DESC_S | DESC_WRITABLE | DESC_ACCESSED;
  vcpu.setSegment(SEG_CS, { selector, base: selector * 16, limit: 0xffff, attr });
  vcpu.setU32(VCPU_EIP, offset);
}
