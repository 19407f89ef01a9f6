/**
 * Builds our own guests with gcc: the demonstration kernel and the round trips of guests/bench, whose images are kept in the
 * repository, and the microkernels of guests/tests, which tests build when they need them.
 *
 * Usage: `tsx tools/guest-build.ts` writes the images that are kept; `--check` only compares their loadable segments with a
 * fresh build, and says why when it cannot. Another version of gcc makes other code, so the check needs the same one.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT, sourceFiles } from "./files.ts";

/** Major version of the gcc that built the committed images. */
export const DEMO_GCC_MAJOR = "12";
const DEMO_IMAGE = "guests/demo/demo.elf";
/** Images of guests/bench that are kept. */
const BENCH_IMAGES: readonly (readonly [string, BenchPlatform, BenchProgram])[] = [
  ["guests/bench/faults.elf", "lguest", "faults"],
  ["guests/bench/faults-xen.elf", "xen", "faults"],
  ["guests/bench/calls.elf", "lguest", "calls"],
  ["guests/bench/calls-xen.elf", "xen", "calls"],
];
const OUTPUT = "build/guests";

const COMPILE = [
  ..."-m32 -march=i686 -mno-sse -mno-mmx -O2 -std=gnu11 -Wall -Wextra -Werror".split(" "),
  ..."-ffreestanding -fno-pic -fno-pie -fno-stack-protector".split(" "),
  ..."-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-tree-loop-distribute-patterns".split(
    " ",
  ),
  "-Iguests/include",
];
const LINK = "-nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack".split(" ");

/** Which lguest ABI a microkernel is built for. */
export interface Variant {
  readonly bus: "page" | "pci";
  readonly paging: "2-level" | "pae";
}

/** @returns the major version of a gcc that can make 32-bit code, or why there is none. */
export function findGcc(): { major: string } | { missing: string } {
  try {
    execFileSync("gcc", ["-m32", "-xc", "-c", "-o", "/dev/null", "-"], {
      input: "",
      stdio: "pipe",
    });
    return {
      major: execFileSync("gcc", ["-dumpversion"], { encoding: "utf8" }).trim().split(".")[0]!,
    };
  } catch {
    return { missing: "gcc -m32 is not installed" };
  }
}

/**
 * Compiles and links one image, unless an earlier run built the same sources with the same arguments.
 * @returns the image's path, absolute. @throws with gcc's output when it fails.
 */
function link(name: string, sources: string[], inputs: string[], args: string[]): string {
  const hash = createHash("sha256").update(JSON.stringify([sources, args, COMPILE, LINK]));
  for (const path of inputs) hash.update(readFileSync(join(ROOT, path)));
  const image = join(ROOT, OUTPUT, `${name}-${hash.digest("hex").slice(0, 16)}.elf`);
  if (existsSync(image)) return image;
  mkdirSync(join(ROOT, OUTPUT), { recursive: true });
  const unfinished = `${image}.${process.pid}`;
  execFileSync("gcc", [...COMPILE, ...LINK, ...args, "-o", unfinished, ...sources], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  renameSync(unfinished, image);
  return image;
}

/** Builds the demonstration kernel: first its programs, then the kernel with them inside. @returns the image's path. */
export function buildDemo(): string {
  const inputs = sourceFiles(["guests"], [".c", ".S", ".h", ".lds"]).filter(
    (path) => !/^guests\/(tests|bench|xen|suite)\//.test(path),
  );
  const sourcesIn = (folder: string) =>
    inputs.filter((path) => path.startsWith(folder) && /\.[cS]$/.test(path));
  const text = "guests/lib/text.c";
  const programs = link("user", [...sourcesIn("guests/demo/user/"), text], inputs, [
    "-s",
    "-Wl,-T,guests/demo/user/user.lds",
  ]);
  const kernel = sourcesIn("guests/demo/").filter((path) => !path.includes("/user/"));
  const staged = join(ROOT, OUTPUT, "embedded");
  mkdirSync(staged, { recursive: true });
  writeFileSync(join(staged, "user.elf"), readFileSync(programs));
  return link("demo", [...kernel, text], inputs, [
    `-Wa,-I${OUTPUT}/embedded`,
    "-Wl,-T,guests/demo/kernel.lds",
  ]);
}

/**
 * Builds one microkernel of guests/tests for one variant of the ABI.
 * @returns the image's path. @throws with gcc's output when it does not compile.
 */
export function buildMicrokernel(name: string, variant: Variant): string {
  const kind = `${variant.bus}-${variant.paging}`;
  const defines = [
    ...(variant.bus === "pci" ? ["-DLGUEST_PCI"] : []),
    ...(variant.paging === "pae" ? ["-DPAE"] : []),
    "-Iguests/lib",
    // A jump table of a function for ring 3 would lie in the kernel's pages.
    "-fno-jump-tables",
  ];
  const headers = sourceFiles(["guests/include", "guests/lib"], [".h"]);
  const framework = sourceFiles(["guests/lib"], [".c", ".S"]).filter(
    (path) => variant.bus === "page" || !path.endsWith("device-page.c"),
  );
  const library = link(
    `framework-${kind}`,
    framework,
    [...framework, ...headers],
    [...defines, "-r"],
  );
  const main = sourceFiles([`guests/tests/${name}`], [".c"]);
  const script = "guests/lib/test.lds";
  return link(
    `${name}-${kind}`,
    [...main, relative(ROOT, library)],
    [...main, ...headers, script, relative(ROOT, library)],
    [...defines, `-Wl,-T,${script}`],
  );
}

/** What the microkernels for Xen take from the framework of those for lguest. */
const SHARED_FRAMEWORK: readonly string[] = ["guests/lib/text.c", "guests/lib/verdict.c"];

/**
 * Builds the kernel of guests/suite on the framework of a paravirtual interface's microkernels; for a plain machine it is in the kernel of
 * guests/bare. @returns the image's path. @throws with gcc's output when it fails.
 */
export function buildSuite(platform: "lguest" | "xen"): string {
  const folder = platform === "lguest" ? "guests/lib" : "guests/xen/lib";
  const framework = sourceFiles([folder], [".c", ".S"]);
  if (platform === "xen") framework.push(...SHARED_FRAMEWORK);
  const main = ["guests/suite/main.c", `guests/suite/platform-${platform}.c`];
  const headers = sourceFiles(["guests/include", folder, "guests/suite"], [".h", ".lds"]);
  return link(
    `suite-${platform}`,
    [...main, ...framework],
    [...main, ...framework, ...headers],
    [`-I${folder}`, "-fno-jump-tables", `-Wl,-T,${folder}/test.lds`, "-Wl,--no-warn-rwx-segments"],
  );
}

/**
 * Builds one microkernel of guests/xen/tests. @returns the image's path. @throws with gcc's output when it does not compile.
 */
export function buildXenMicrokernel(name: string): string {
  const options = ["-Iguests/xen/lib", "-fno-jump-tables"];
  const headers = sourceFiles(["guests/include", "guests/xen/lib"], [".h"]);
  const framework = [...sourceFiles(["guests/xen/lib"], [".c", ".S"]), ...SHARED_FRAMEWORK];
  const library = link("framework-xen", framework, [...framework, ...headers], [...options, "-r"]);
  const main = sourceFiles([`guests/xen/tests/${name}`], [".c", ".S"]);
  const script = "guests/xen/lib/test.lds";
  return link(
    `xen-${name}`,
    [...main, relative(ROOT, library)],
    [...main, ...headers, script, relative(ROOT, library)],
    [...options, `-Wl,-T,${script}`, "-Wl,--no-warn-rwx-segments"],
  );
}

/** Platforms that the round trips of guests/bench are built for: lguest, Xen's interface, or a plain machine entered by Multiboot. */
export type BenchPlatform = "lguest" | "xen" | "native";

/** What is measured there: round trips, or single paravirtual calls, which a plain machine has none of. */
export type BenchProgram = "faults" | "calls";

/** Builds a program of guests/bench. @returns the image's path. @throws with gcc's output when it fails. */
export function buildBench(platform: BenchPlatform, program: BenchProgram = "faults"): string {
  const folder = "guests/bench";
  const inputs = sourceFiles([folder, "guests/include", "guests/lib"], [".c", ".S", ".h", ".lds"]);
  const names =
    program === "faults"
      ? ["faults.c", "faults.S"]
      : [`calls-${platform}.c`, `calls-${platform}.S`];
  names.push("machine.c", "entry.S", `platform-${platform}.c`, `start-${platform}.S`);
  if (platform !== "xen") names.push("two-levels.c");
  return link(
    `bench-${program}-${platform}`,
    [...names.map((name) => `${folder}/${name}`), "guests/lib/text.c"],
    inputs,
    [
      `-DPLATFORM_${platform.toUpperCase()}`,
      "-Iguests/lib",
      // Handlers count by their instructions: nothing is padded, and registers are pushed rather than stored.
      ..."-fomit-frame-pointer -mtune=generic -fno-align-loops -fno-align-jumps".split(" "),
      `-Wl,-T,${folder}/faults.lds`,
      "-Wl,--no-warn-rwx-segments",
    ],
  );
}

/** Builds the kernel of guests/bare, entered by Multiboot or by its PVH note alone. @returns the image's path. */
export function buildBareKernel(protocol: "multiboot" | "pvh"): string {
  const inputs = sourceFiles(
    ["guests/bare", "guests/suite", "guests/include"],
    [".c", ".S", ".h", ".lds"],
  );
  inputs.push("guests/lib/text.c");
  const sources = inputs.filter(
    (path) => /\.[cS]$/.test(path) && !/platform-(lguest|xen)/.test(path),
  );
  const defines = ["-Iguests/bare", ...(protocol === "multiboot" ? ["-DWITH_MULTIBOOT"] : [])];
  const script = "-Wl,-T,guests/bare/bare.lds";
  return link(`bare-${protocol}`, sources, inputs, [
    ...defines,
    script,
    "-Wl,--no-warn-rwx-segments",
  ]);
}

/** @returns what an ELF32 file puts into memory: entry point, and address, sizes and bytes of each PT_LOAD. */
export function loadableSegments(elf: Uint8Array): string {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const parts = [`entry ${view.getUint32(24, true).toString(16)}`];
  const [tableOffset, count] = [view.getUint32(28, true), view.getUint16(44, true)];
  for (let header = tableOffset; header < tableOffset + 32 * count; header += 32) {
    if (view.getUint32(header, true) !== 1) continue;
    const field = (index: number): number => view.getUint32(header + 4 * index, true);
    const [offset, lin, gpa, fileBytes, memoryBytes] = [1, 2, 3, 4, 5].map(field);
    const bytes = elf.subarray(offset, offset! + fileBytes!);
    const digest = createHash("sha256").update(bytes).digest("hex");
    parts.push([lin, gpa, fileBytes, memoryBytes].map((n) => n!.toString(16)).join(" "), digest);
  }
  return parts.join("\n");
}

/** Compares the committed demonstration kernel with its sources. @returns "same", "differs", or why it cannot be told. */
export function checkDemo(): Comparison {
  return compareImage(DEMO_IMAGE, buildDemo);
}

/** Compares the committed images of guests/bench with their sources. @returns by image "same", "differs", or why it cannot be told. */
export function checkBench(): ReadonlyMap<string, Comparison> {
  return new Map(
    BENCH_IMAGES.map(([image, platform, program]) => [
      image,
      compareImage(image, () => buildBench(platform, program)),
    ]),
  );
}

/** How a committed image and its sources stand to each other. */
export type Comparison = "same" | "differs" | { skipped: string };

function compareImage(image: string, build: () => string): Comparison {
  const gcc = findGcc();
  if ("missing" in gcc) return { skipped: gcc.missing };
  if (gcc.major !== DEMO_GCC_MAJOR) {
    return { skipped: `gcc ${gcc.major} is not the gcc ${DEMO_GCC_MAJOR} that built ${image}` };
  }
  const committed = loadableSegments(readFileSync(join(ROOT, image)));
  return loadableSegments(readFileSync(build())) === committed ? "same" : "differs";
}

if (process.argv[1]?.endsWith("guest-build.ts")) {
  const images: (readonly [string, () => string])[] = [
    [DEMO_IMAGE, buildDemo],
    ...BENCH_IMAGES.map(
      ([image, platform, program]) => [image, () => buildBench(platform, program)] as const,
    ),
  ];
  for (const [image, build] of images) {
    if (!process.argv.includes("--check")) {
      writeFileSync(join(ROOT, image), readFileSync(build()));
      console.log(`wrote ${image}`);
      continue;
    }
    const outcome = compareImage(image, build);
    if (outcome === "differs") {
      console.error(`${image} was not built from its sources: run tsx tools/guest-build.ts`);
      process.exitCode = 1;
    } else console.log(outcome === "same" ? `${image}: same` : `skipped: ${outcome.skipped}`);
  }
}
