/**
 * What the firmware of a PC does for programs that reset the processor or put the machine to sleep, done by the Host: a program leaves
 * word where to go on, in the shutdown byte of the battery-backed memory and the warm-reset vector, or in ACPI's waking vector. At the
 * firmware's entry point stands a stub that asks the Host to start the kernel over.
 * Source: IBM PC AT Technical Reference, "BIOS: shutdown codes"; ACPI 6, "Firmware ACPI Control Structure (FACS)".
 */
import {
  ACPI_TABLES_GPA,
  FACS_WAKING_VECTOR,
  FADT_FIRMWARE_CTRL,
  RSDP_RSDT,
  SDT_HEADER_BYTES,
} from "../../abi/acpi.ts";
import {
  CMOS_SHUTDOWN,
  PC_FIRMWARE_ENTRY,
  PC_WARM_RESET_VECTOR,
  PORT_SMI_COMMAND,
  SHUTDOWN_JUMP,
  SHUTDOWN_JUMP_EOI,
  SMI_START_OVER,
} from "../../abi/pc.ts";
import type { FrameMemory } from "../base/guest-memory.ts";
import type { KernelImage } from "../boot/image.ts";
import type { PortDevice } from "../devices/legacy/port-map.ts";
import type { Rtc } from "../devices/legacy/rtc.ts";

/** Where the first processor goes on in real mode. */
export interface Resume {
  readonly selector: number;
  readonly offset: number;
  /** Whether firmware ends the interrupt that is being served at both 8259s. */
  readonly endsInterrupt: boolean;
}

/** Reads, and takes back, the word that a program left before a reset of the processor; undefined when there is none. */
export function takeWarmReset(rtc: Rtc, memory: FrameMemory): Resume | undefined {
  const code = rtc.cmos(CMOS_SHUTDOWN);
  rtc.setCmos(CMOS_SHUTDOWN, 0);
  if (code !== SHUTDOWN_JUMP && code !== SHUTDOWN_JUMP_EOI) return undefined;
  const offset = memory.readU16(PC_WARM_RESET_VECTOR);
  const selector = memory.readU16(PC_WARM_RESET_VECTOR + 2);
  return { selector, offset, endsInterrupt: code === SHUTDOWN_JUMP_EOI };
}

/** The waking vector of ACPI's tables as a real-mode address; undefined while it is 0. */
export function wakingVector(memory: FrameMemory): Resume | undefined {
  const rsdtGpa = memory.readU32(ACPI_TABLES_GPA + RSDP_RSDT);
  const fadtGpa = memory.readU32(rsdtGpa + SDT_HEADER_BYTES);
  const facsGpa = memory.readU32(fadtGpa + FADT_FIRMWARE_CTRL);
  const gpa = memory.readU32(facsGpa + FACS_WAKING_VECTOR);
  if (gpa === 0) return undefined;
  return { selector: (gpa >>> 4) & 0xffff, offset: gpa & 0xf, endsInterrupt: false };
}

/** Puts the stub at the firmware's entry point, unless the kernel lies there. */
export function placeFirmware(memory: FrameMemory, image: KernelImage): void {
  const end = PC_FIRMWARE_ENTRY + STUB.length;
  const isFree = image.segments.every(
    ({ gpa, memSize }) => gpa >= end || gpa + memSize <= PC_FIRMWARE_ENTRY,
  );
  if (isFree) memory.write(PC_FIRMWARE_ENTRY, STUB);
}

/** mov al, SMI_START_OVER; out PORT_SMI_COMMAND, al; cli; hlt; and the hlt again. */
const STUB = Uint8Array.of(0xb0, SMI_START_OVER, 0xe6, PORT_SMI_COMMAND, 0xfa, 0xf4, 0xeb, 0xfd);

/** The port by which the stub asks. It has no state. */
export class FirmwarePort implements PortDevice {
  readonly name = "firmware";
  readonly isWide = false;
  readonly ports = [[PORT_SMI_COMMAND, PORT_SMI_COMMAND]] as const;
  readonly #startOver: () => void;

  constructor(startOver: () => void) {
    this.#startOver = startOver;
  }

  read(): number {
    return 0;
  }

  write(_port: number, _size: number, command: number): void {
    if (command === SMI_START_OVER) this.#startOver();
  }

  save(): Record<string, unknown> {
    return {};
  }

  restore(): void {}
}
