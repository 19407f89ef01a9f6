import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConfigError } from "../../../host-ts/base/errors.ts";
import { needsInline, resolveConfig } from "../../../host-ts/guest/config.ts";
import { isOurCpuid, refuseNesting } from "../../../host-ts/guest/nesting.ts";
import { runsInOurGuest } from "../../../host-ts/guest/nesting-node.ts";
import type { GuestOptions } from "../../../host-ts/guest/options.ts";

const kernel = Uint8Array.of(1);

test("defaults are those of the documentation", () => {
  expect(resolveConfig({ kernel })).toMatchObject({
    memoryBytes: 64 << 20,
    commandLine: "",
    time: "virtual",
    nsPerInstruction: 1,
    sliceInstructions: 100_000,
    onRestart: "end",
    rng: true,
    abi: "lguest",
    cpu: "i686",
    lguest: { bus: "auto", syscallVector: 0x80 },
  });
});

test.each<[Partial<GuestOptions>, RegExp]>([
  [{ kernel: new Uint8Array(0) }, /kernel must be/],
  [{ memoryBytes: 5 << 10 }, /memoryBytes is 5120/],
  [{ memoryBytes: (1 << 20) + 1 }, /multiple of 4096/],
  [{ memoryBytes: Number.NaN }, /memoryBytes is NaN/],
  [{ memoryBytes: 2 ** 31 }, /to 1073741824/],
  [{ commandLine: "x".repeat(2048) }, /2048 bytes/],
  [{ commandLine: "é".repeat(1024) }, /2048 bytes/],
  [{ commandLine: "a\0b" }, /NUL/],
  [{ nsPerInstruction: 0 }, /nsPerInstruction is 0/],
  [{ sliceInstructions: 50 }, /sliceInstructions is 50/],
  [{ seed: -1 }, /seed is -1/],
  [{ time: "fast" as "real" }, /one of virtual, real/],
  [{ abi: "xen" as "lguest" }, /abi is "xen"/],
  [{ cpu: "386" as "i686" }, /cpu is "386"/],
  [{ block: [{}] }, /exactly one of file, bytes and backend/],
  [{ block: [{ bytes: kernel, file: "x" }] }, /exactly one/],
  [{ block: Array.from({ length: 9 }, () => ({ file: "x" })) }, /at most 8/],
  [{ net: [{}] }, /exactly one of hub, peer and backend/],
  [{ net: [{ hub: "a", peer: "10.0.0.1" }] }, /exactly one of hub, peer and backend/],
  [{ net: [{ peer: "10.0.0" }] }, /no IPv4 address/],
  [{ net: [{ peer: "10.0.0.256" }] }, /no IPv4 address/],
  [{ net: [{ peer: "1..2.3" }] }, /no IPv4 address/],
  [{ net: [{ hub: "a", mac: "12:34" }] }, /must look like/],
  [{ net: [{ hub: "a", mac: "01:00:00:00:00:00" }] }, /multicast/],
  [{ terminal: { columns: 0, rows: 1 } }, /columns is 0/],
  [{ lguest: { bus: "usb" as "pci" } }, /lguest.bus is "usb"/],
  [{ lguest: { faultPath: "classic" as "host" } }, /one of switcher, host/],
  [{ abi: "bare", lguest: { faultPath: "host" } }, /abi "bare" has its own page tables/],
  [{ memorybytes: 1 } as object, /memorybytes/],
  [{ debug: { chaos: 1 } as object }, /debug\.chaos/],
  [{ lguest: { bys: "pci" } as object }, /lguest\.bys/],
  [{ bare: { module: [] } as object }, /bare\.module/],
  [{ terminal: { columns: 1, rows: 1, lines: 1 } as never }, /terminal\.lines/],
  [{ block: [{ path: "x" } as object] }, /block\[0\]\.path/],
  [{ net: [{ hub: "a" }, { hub: "a", Mac: "" } as object] }, /net\[1\]\.Mac/],
])("%j is refused by name", (options, message) => {
  expect(() => resolveConfig({ kernel, ...options })).toThrow(ConfigError);
  expect(() => resolveConfig({ kernel, ...options })).toThrow(message);
});

test("guests of different names get different addresses, and one name always the same", () => {
  const mac = (name: string, index: number) =>
    [
      ...resolveConfig({ kernel, name, net: [{ hub: "h" }, { hub: "h" }] }).net[index]!.macBytes,
    ].join();
  expect(mac("a", 0)).toBe(mac("a", 0));
  expect(new Set([mac("a", 0), mac("a", 1), mac("b", 0), mac("b", 1)]).size).toBe(4);
});

test("a backend object needs the same thread", () => {
  const backend = { send: () => {}, connect: () => {}, close: () => {} };
  expect(needsInline(resolveConfig({ kernel, net: [{ backend }] }))).toBe(true);
  expect(needsInline(resolveConfig({ kernel, net: [{ hub: "h" }] }))).toBe(false);
});

test("a processor of ours is recognised by its hypervisor leaf, and hosting on it is refused", () => {
  const text = new TextEncoder().encode("wasmvisor\0\0\0");
  const words = new DataView(text.buffer);
  const [ebx, ecx, edx] = [0, 4, 8].map((at) => words.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  const leaf = (number: number) =>
    number === 0x40000000 ? { ebx, ecx, edx } : { ebx: 0, ecx: 0, edx: 0 };
  expect(isOurCpuid(leaf)).toBe(true);
  expect(isOurCpuid(() => ({ ebx, ecx, edx: 0 }))).toBe(false);
  expect(() => refuseNesting(true)).toThrow(/outer host/);
  refuseNesting(false);
  expect(runsInOurGuest("/nonexistent")).toBe(false);
});

test("what our processor answers to CPUID is what the host looks for in /proc/cpuinfo", () => {
  const folder = mkdtempSync(join(tmpdir(), "wasmvisor-"));
  const cpuInfo = join(folder, "cpuinfo");
  try {
    writeFileSync(
      cpuInfo,
      "vendor_id\t: WasmvisorCPU\nmodel name\t: wasmvisor virtual i686 processor\n",
    );
    expect(runsInOurGuest(cpuInfo)).toBe(true);
    writeFileSync(cpuInfo, "vendor_id\t: GenuineIntel\nmodel name\t: Pentium III (Coppermine)\n");
    expect(runsInOurGuest(cpuInfo)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
