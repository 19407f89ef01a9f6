/**
 * The ACPI tables of a plain machine as one piece of memory: root pointer, RSDT and XSDT, FADT with FACS, MADT, and a DSDT that knows
 * how to switch off and to suspend. There is no power-management timer: ACPI leaves it out where others are better, and kernels spend a second on
 * measuring it.
 * Source: ACPI 6, "ACPI Software Programming Model".
 */
import {
  AML_NAME,
  AML_PACKAGE,
  BOOT_ARCH_LEGACY_DEVICES,
  BOOT_ARCH_NO_VGA,
  FACS_BYTES,
  FACS_LENGTH,
  FACS_VERSION,
  FADT_BOOT_ARCH,
  FADT_BYTES,
  FADT_DSDT,
  FADT_FIRMWARE_CTRL,
  FADT_FLAGS,
  FADT_NO_C2,
  FADT_NO_C3,
  FADT_P_LVL2_LAT,
  FADT_P_LVL3_LAT,
  FADT_PM1_CNT_LEN,
  FADT_PM1_EVT_LEN,
  FADT_PM1A_CNT_BLK,
  FADT_PM1A_EVT_BLK,
  FADT_PROC_C1,
  FADT_PWR_BUTTON,
  FADT_RESET_REG,
  FADT_RESET_REG_SUP,
  FADT_RESET_VALUE,
  FADT_REVISION,
  FADT_SCI_INT,
  FADT_SLP_BUTTON,
  FADT_WBINVD,
  GAS_BYTE_ACCESS,
  GAS_SYSTEM_IO,
  IRQ_SCI,
  MADT_ALL_PROCESSORS,
  MADT_CONFORMS,
  MADT_ENTRIES,
  MADT_FLAGS,
  MADT_HIGH_LEVEL,
  MADT_IO_APIC,
  MADT_IO_APIC_BYTES,
  MADT_LOCAL_APIC,
  MADT_LOCAL_APIC_ADDRESS,
  MADT_LOCAL_APIC_BYTES,
  MADT_LOCAL_APIC_ENABLED,
  MADT_LOCAL_NMI,
  MADT_LOCAL_NMI_BYTES,
  MADT_OVERRIDE,
  MADT_OVERRIDE_BYTES,
  MADT_PCAT_COMPAT,
  MADT_REVISION,
  PM1_CNT_BYTES,
  PM1_EVT_BYTES,
  PORT_PM1_CNT,
  PORT_PM1_EVT,
  RSDP_BYTES,
  RSDP_CHECKSUM,
  RSDP_EXTENDED_CHECKSUM,
  RSDP_LENGTH,
  RSDP_OEM_ID,
  RSDP_REVISION,
  RSDP_REVISION_FIELD,
  RSDP_RSDT,
  RSDP_V1_BYTES,
  RSDP_XSDT,
  SDT_CHECKSUM,
  SDT_CREATOR_ID,
  SDT_CREATOR_REVISION,
  SDT_HEADER_BYTES,
  SDT_LENGTH,
  SDT_OEM_ID,
  SDT_OEM_REVISION,
  SDT_OEM_TABLE_ID,
  SDT_REVISION,
  SLP_TYP_S3,
  SLP_TYP_S5,
} from "../../abi/acpi.ts";
import { APIC_GPA, IOAPIC_GPA } from "../../abi/apic.ts";
import {
  IOAPIC_TIMER_PIN,
  IRQ_PIT,
  PORT_RESET_CONTROL,
  RESET_CONTROL_HARD,
  RESET_CONTROL_NOW,
} from "../../abi/pc.ts";
import { writeField } from "../devices/records.ts";

const OEM_ID = "WASMVI";
const OEM_TABLE_ID = "WASMVISR";
const CREATOR_ID = "WASM";
/** FACS must lie on such a boundary; the others may. */
const ALIGNMENT = 64;
/** Input of each local APIC that NMI is wired to. */
const LINT_NMI = 1;

/** @returns the bytes to put at `gpa`, the root pointer first. @param cpus number of processors, APIC identifiers from 0 */
export function buildAcpiTables(gpa: number, cpus: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let end = gpa;
  const place = (bytes: Uint8Array) => {
    const at = end;
    const padded = new Uint8Array(Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT);
    padded.set(bytes);
    parts.push(padded);
    end += padded.length;
    return at;
  };
  const rsdp = new Uint8Array(RSDP_BYTES);
  place(rsdp);
  const facsGpa = place(facs());
  const sleeps = [sleepPackage("_S3_", SLP_TYP_S3), sleepPackage("_S5_", SLP_TYP_S5)];
  const dsdtGpa = place(table("DSDT", 1, Uint8Array.from(sleeps.flatMap((aml) => [...aml]))));
  const tables = [place(fadt(facsGpa, dsdtGpa)), place(madt(cpus))];
  const rsdtGpa = place(table("RSDT", 1, pointers(tables, 4)));
  const xsdtGpa = place(table("XSDT", 1, pointers(tables, 8)));
  fillRootPointer(parts[0]!, rsdtGpa, xsdtGpa);
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function fillRootPointer(bytes: Uint8Array, rsdtGpa: number, xsdtGpa: number): void {
  writeText(bytes, 0, "RSD PTR ");
  writeText(bytes, RSDP_OEM_ID, OEM_ID);
  writeField(bytes, RSDP_REVISION_FIELD, 1, RSDP_REVISION);
  writeField(bytes, RSDP_RSDT, 4, rsdtGpa);
  writeField(bytes, RSDP_LENGTH, 4, RSDP_BYTES);
  writeField(bytes, RSDP_XSDT, 8, xsdtGpa);
  bytes[RSDP_CHECKSUM] = checksum(bytes.subarray(0, RSDP_V1_BYTES));
  bytes[RSDP_EXTENDED_CHECKSUM] = checksum(bytes.subarray(0, RSDP_BYTES));
}

/** A table with its header. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SDT_HEADER_BYTES + body.length);
  bytes.set(body, SDT_HEADER_BYTES);
  writeText(bytes, 0, signature);
  writeField(bytes, SDT_LENGTH, 4, bytes.length);
  writeField(bytes, SDT_REVISION, 1, revision);
  writeText(bytes, SDT_OEM_ID, OEM_ID);
  writeText(bytes, SDT_OEM_TABLE_ID, OEM_TABLE_ID);
  writeField(bytes, SDT_OEM_REVISION, 4, 1);
  writeText(bytes, SDT_CREATOR_ID, CREATOR_ID);
  writeField(bytes, SDT_CREATOR_REVISION, 4, 1);
  bytes[SDT_CHECKSUM] = checksum(bytes);
  return bytes;
}

function pointers(tables: readonly number[], sizeBytes: number): Uint8Array {
  const body = new Uint8Array(tables.length * sizeBytes);
  for (const [index, gpa] of tables.entries()) writeField(body, index * sizeBytes, sizeBytes, gpa);
  return body;
}

function facs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  writeText(bytes, 0, "FACS");
  writeField(bytes, FACS_LENGTH, 4, FACS_BYTES);
  writeField(bytes, FACS_VERSION, 1, 1);
  return bytes;
}

/** ACPI mode is always on: there is no SMI command port that would switch it. */
function fadt(facsGpa: number, dsdtGpa: number): Uint8Array {
  const fields: readonly (readonly [number, number, number])[] = [
    [FADT_FIRMWARE_CTRL, 4, facsGpa],
    [FADT_DSDT, 4, dsdtGpa],
    [FADT_SCI_INT, 2, IRQ_SCI],
    [FADT_PM1A_EVT_BLK, 4, PORT_PM1_EVT],
    [FADT_PM1A_CNT_BLK, 4, PORT_PM1_CNT],
    [FADT_PM1_EVT_LEN, 1, PM1_EVT_BYTES],
    [FADT_PM1_CNT_LEN, 1, PM1_CNT_BYTES],
    [FADT_P_LVL2_LAT, 2, FADT_NO_C2],
    [FADT_P_LVL3_LAT, 2, FADT_NO_C3],
    [FADT_BOOT_ARCH, 2, BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_NO_VGA],
    [
      FADT_FLAGS,
      4,
      FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG_SUP,
    ],
    [FADT_RESET_REG, 4, GAS_SYSTEM_IO | (8 << 8) | (GAS_BYTE_ACCESS << 24)],
    [FADT_RESET_REG + 4, 8, PORT_RESET_CONTROL],
    [FADT_RESET_VALUE, 1, RESET_CONTROL_HARD | RESET_CONTROL_NOW],
  ];
  const body = new Uint8Array(FADT_BYTES - SDT_HEADER_BYTES);
  for (const [offset, size, value] of fields) {
    writeField(body, offset - SDT_HEADER_BYTES, size, value);
  }
  return table("FACP", FADT_REVISION, body);
}

function madt(cpus: number): Uint8Array {
  const entries: number[][] = [];
  for (let id = 0; id < cpus; id++) {
    const head = [MADT_LOCAL_APIC, MADT_LOCAL_APIC_BYTES, id, id];
    entries.push([...head, ...le(4, MADT_LOCAL_APIC_ENABLED)]);
  }
  const ioapic = [MADT_IO_APIC, MADT_IO_APIC_BYTES, 0, 0];
  entries.push([...ioapic, ...le(4, IOAPIC_GPA >>> 0), ...le(4, 0)]);
  const override = (irq: number, pin: number, flags: number) => {
    entries.push([MADT_OVERRIDE, MADT_OVERRIDE_BYTES, 0, irq, ...le(4, pin), ...le(2, flags)]);
  };
  override(IRQ_PIT, IOAPIC_TIMER_PIN, MADT_CONFORMS);
  override(IRQ_SCI, IRQ_SCI, MADT_HIGH_LEVEL);
  const nmi = [MADT_LOCAL_NMI, MADT_LOCAL_NMI_BYTES, MADT_ALL_PROCESSORS];
  entries.push([...nmi, ...le(2, MADT_CONFORMS), LINT_NMI]);
  const all = entries.flat();
  const body = new Uint8Array(MADT_ENTRIES - SDT_HEADER_BYTES + all.length);
  writeField(body, MADT_LOCAL_APIC_ADDRESS - SDT_HEADER_BYTES, 4, APIC_GPA >>> 0);
  writeField(body, MADT_FLAGS - SDT_HEADER_BYTES, 4, MADT_PCAT_COMPAT);
  body.set(all, MADT_ENTRIES - SDT_HEADER_BYTES);
  return table("APIC", MADT_REVISION, body);
}

/** AML: the name of a sleep state and a package of its two types and two reserved elements, each a constant operator 0 or 1. */
function sleepPackage(name: string, type: 0 | 1): Uint8Array {
  const elements = [type, type, 0, 0];
  // The package's length counts itself, the number of elements, and them.
  const length = 2 + elements.length;
  return Uint8Array.of(AML_NAME, ...ascii(name), AML_PACKAGE, length, elements.length, ...elements);
}

/** @returns the byte that makes all bytes add up to 0. */
function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function le(sizeBytes: number, value: number): number[] {
  const bytes = new Uint8Array(sizeBytes);
  writeField(bytes, 0, sizeBytes, value);
  return [...bytes];
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function writeText(bytes: Uint8Array, offset: number, text: string): void {
  bytes.set(ascii(text), offset);
}
