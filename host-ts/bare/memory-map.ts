/** The address ranges a plain machine reports, the same whatever protocol tells them. */
import { MEMORY_RAM, MEMORY_RESERVED, PC_HIGH_RAM_START, PC_LOW_RAM_END } from "../../abi/pc.ts";

/** One range, of MEMORY_RAM or MEMORY_RESERVED. */
export interface MemoryRange {
  readonly gpa: number;
  readonly sizeBytes: number;
  readonly type: number;
}

/** A module where it lies. */
export interface PlacedModule {
  readonly gpa: number;
  readonly sizeBytes: number;
  /** What the kernel tells it by; may be empty. */
  readonly name: string;
}

/** What a boot protocol tells the kernel. */
export interface BootInfo {
  readonly ramBytes: number;
  readonly commandLine: string;
  readonly modules: readonly PlacedModule[];
  /** Address of ACPI's root pointer, 0 when there is none. */
  readonly rsdpGpa: number;
}

/** Conventional memory, the hole up to 1 MiB, and the rest. */
export function memoryMap(ramBytes: number): readonly MemoryRange[] {
  const map: MemoryRange[] = [
    { gpa: 0, sizeBytes: PC_LOW_RAM_END, type: MEMORY_RAM },
    { gpa: PC_LOW_RAM_END, sizeBytes: PC_HIGH_RAM_START - PC_LOW_RAM_END, type: MEMORY_RESERVED },
  ];
  const highBytes = ramBytes - PC_HIGH_RAM_START;
  if (highBytes > 0) map.push({ gpa: PC_HIGH_RAM_START, sizeBytes: highBytes, type: MEMORY_RAM });
  return map;
}
