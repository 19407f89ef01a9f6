/** What a kernel finds beside its modules, by either protocol. */
import { expect, test } from "vitest";
import { buildMultibootInfo } from "../../../host-ts/bare/multiboot-info.ts";
import { buildStartInfo } from "../../../host-ts/bare/pvh-info.ts";

const GPA = 0x9000;
const boot = {
  ramBytes: 16 * 1024 * 1024,
  commandLine: "kernel words",
  rsdpGpa: 0,
  modules: [
    { gpa: 0x200000, sizeBytes: 10, name: "initrd.img" },
    { gpa: 0x201000, sizeBytes: 20, name: "" },
    { gpa: 0x202000, sizeBytes: 30, name: "driver.o" },
  ],
};

/** Reads the strings whose addresses stand `at` bytes into each entry of the list that `listAt` points to. */
function namesIn(info: Uint8Array, listAt: number, entryBytes: number, at: number): string[] {
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  const list = view.getUint32(listAt, true) - GPA;
  return boot.modules.map((_, index) => {
    const start = view.getUint32(list + entryBytes * index + at, true) - GPA;
    return Buffer.from(info.subarray(start, info.indexOf(0, start))).toString();
  });
}

test("each module has its own string, which may be empty", () => {
  const names = boot.modules.map(({ name }) => name);
  // Multiboot 3.3, mods_addr; Xen's start_info.h, modlist_paddr.
  expect(namesIn(buildMultibootInfo(GPA, boot), 24, 16, 8)).toEqual(names);
  expect(namesIn(buildStartInfo(GPA, boot), 16, 32, 16)).toEqual(names);
});
