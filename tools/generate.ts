/**
 * Writes the files that cannot share `abi/` directly: the C header for our own guests.
 *
 * Every number or string that an `abi/` module exports becomes one `#define` of the same name, usable from C and from
 * assembly. The output is committed; `--check` fails when regenerating would change it.
 *
 * Usage: `tsx tools/generate.ts [--check]`
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

const ABI_DIRECTORY = fileURLToPath(new URL("../abi/", import.meta.url));
const HEADER = fileURLToPath(new URL("../guests/include/abi.gen.h", import.meta.url));

/** The modules a guest may depend on; the others are between the core and the Host. */
const FOR_GUESTS = [
  "acpi.ts",
  "apic.ts",
  "lguest.ts",
  "linux-boot.ts",
  "multiboot.ts",
  "pc.ts",
  "pci.ts",
  "virtio.ts",
  "x86.ts",
  "xen-io.ts",
  "xen-layout.ts",
  "xen.ts",
];

type Constant = number | bigint | string;

/** Formats one constant so that C reads it as an unsigned 32-bit (or 64-bit) value or a string, and gas accepts the numbers. */
function literal(value: Constant): string {
  if (typeof value === "string") return JSON.stringify(value);
  const unsigned =
    typeof value === "bigint" ? BigInt.asUintN(64, value) : BigInt.asUintN(32, BigInt(value));
  return `0x${unsigned.toString(16)}`;
}

/** Renders the constants of one abi module, in source order of the module namespace's own listing. */
async function renderModule(file: string): Promise<string[]> {
  const names: Record<string, unknown> = await import(pathToFileURL(ABI_DIRECTORY + file).href);
  const source = await readFile(ABI_DIRECTORY + file, "utf8");
  const position = (name: string): number => source.search(new RegExp(`export const ${name}\\b`));
  const lines = Object.entries(names)
    .filter((entry): entry is [string, Constant] =>
      ["number", "bigint", "string"].includes(typeof entry[1]),
    )
    .sort(([left], [right]) => position(left) - position(right))
    .map(([name, value]) => `#define ${name} ${literal(value)}`);
  return lines.length === 0 ? [] : [`/* abi/${file} */`, ...lines, ""];
}

/** Renders the whole header. */
async function renderHeader(): Promise<string> {
  const sections: string[] = [];
  for (const file of FOR_GUESTS) sections.push(...(await renderModule(file)));
  return [
    "/* Generated from abi/ by tools/generate.ts: change the facts there, then run it again. */",
    "#ifndef ABI_GEN_H",
    "#define ABI_GEN_H",
    "",
    ...sections,
    "#endif",
    "",
  ].join("\n");
}

const wanted = await renderHeader();
const found = await readFile(HEADER, "utf8").catch(() => "");
if (process.argv.includes("--check")) {
  if (wanted !== found) {
    console.error(
      "guests/include/abi.gen.h is out of date: run `tsx tools/generate.ts` and commit the result",
    );
    process.exitCode = 1;
  }
} else if (wanted !== found) {
  await writeFile(HEADER, wanted);
  console.log("wrote guests/include/abi.gen.h");
}
