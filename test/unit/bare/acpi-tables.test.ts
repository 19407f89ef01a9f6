/** The ACPI tables of a plain machine, read back the way a guest finds them. */
import { expect, test } from "vitest";
import { buildAcpiTables } from "../../../host-ts/bare/acpi-tables.ts";
import { readField } from "../../../host-ts/devices/records.ts";

const GPA = 0xe0000;
const CPUS = 3;
const memory = buildAcpiTables(GPA, CPUS);
const u = (gpa: number, size: number) => readField(memory, gpa - GPA, size);
const text = (gpa: number, length: number) =>
  Buffer.from(memory.subarray(gpa - GPA, gpa - GPA + length)).toString("latin1");
const sum = (gpa: number, length: number) =>
  memory.subarray(gpa - GPA, gpa - GPA + length).reduce((total, byte) => total + byte, 0) & 0xff;

/** Address by signature, as the root table of entries of `size` bytes has them. */
function tablesOf(root: number, size: number): Map<string, number> {
  const count = (u(root + 4, 4) - 36) / size;
  const all = Array.from({ length: count }, (_, index) => u(root + 36 + index * size, size));
  return new Map(all.map((gpa) => [text(gpa, 4), gpa]));
}

test("both root tables name the same tables, and everything adds up to zero", () => {
  expect([text(GPA, 8), u(GPA + 15, 1), u(GPA + 20, 4)]).toEqual(["RSD PTR ", 2, 36]);
  expect([sum(GPA, 20), sum(GPA, 36)]).toEqual([0, 0]);
  const [rsdt, xsdt] = [u(GPA + 16, 4), u(GPA + 24, 8)];
  expect([text(rsdt, 4), text(xsdt, 4)]).toEqual(["RSDT", "XSDT"]);
  expect(tablesOf(rsdt, 4)).toEqual(tablesOf(xsdt, 8));
  expect([...tablesOf(rsdt, 4).keys()]).toEqual(["FACP", "APIC"]);
  const fadt = tablesOf(rsdt, 4).get("FACP")!;
  const [facs, dsdt] = [u(fadt + 36, 4), u(fadt + 40, 4)];
  expect([text(facs, 4), facs % 64, text(dsdt, 4)]).toEqual(["FACS", 0, "DSDT"]);
  for (const table of [rsdt, xsdt, dsdt, ...tablesOf(rsdt, 4).values()]) {
    expect(sum(table, u(table + 4, 4)), text(table, 4)).toBe(0);
  }
});

test("the interrupt table has a local APIC per processor, and the timer at pin 2", () => {
  const madt = tablesOf(u(GPA + 16, 4), 4).get("APIC")!;
  const entries: string[] = [];
  for (let at = madt + 44; at < madt + u(madt + 4, 4); at += u(at + 1, 1)) {
    const length = u(at + 1, 1);
    entries.push(Buffer.from(memory.subarray(at - GPA, at - GPA + length)).toString("hex"));
  }
  expect(entries).toEqual([
    "0008000001000000",
    "0008010101000000",
    "0008020201000000",
    "010c00000000c0fe00000000",
    "020a0000020000000000",
    "020a0009090000000d00",
    "0406ff000001",
  ]);
});

test("the fixed table points at the registers, and AML names the types of sleep that suspend and power off", () => {
  const fadt = tablesOf(u(GPA + 16, 4), 4).get("FACP")!;
  expect([u(fadt + 4, 4), u(fadt + 46, 2), u(fadt + 48, 4)]).toEqual([244, 9, 0]);
  expect([u(fadt + 56, 4), u(fadt + 64, 4), u(fadt + 88, 2)]).toEqual([0x600, 0x604, 0x0204]);
  const dsdt = u(fadt + 40, 4);
  expect(text(dsdt + 36, u(dsdt + 4, 4) - 36)).toBe(
    "\x08_S3_\x12\x06\x04\x01\x01\0\0\x08_S5_\x12\x06\x04\0\0\0\0",
  );
});
