/**
 * Kernel images, whatever their format: detection, and the one shape the domain builders load from.
 * Nothing here touches guest memory.
 */
import { ImageError } from "../base/errors.ts";
import { isBzImage, parseBzImage } from "./bzimage.ts";
import { isElf, parseElf } from "./elf.ts";
import { hex } from "./fields.ts";
import type { KernelImage } from "./kernel.ts";

export type { KernelImage, KernelNote, KernelSegment, KernelSymbol } from "./kernel.ts";

/* Preparation 010: a kernel arrives as a file that nobody here wrote.
 *
 * Two formats are told apart by their magic numbers: vmlinux, an ELF executable whose segments say where they go, and bzImage,
 * whose 32-bit part goes to 1 MiB and unpacks itself. Both come out as one shape, a list of (address, bytes, size in memory)
 * and an entry point. Every field that steers a copy is checked against the file and against 4 GiB, because the file may lie;
 * whether it fits into RAM is asked later, when RAM is known.
 */

/** First bytes of formats that people hand us by mistake, and what to do about each. */
const MISTAKES: [number[], string][] = [
  [[0x1f, 0x8b], "gzip-compressed: decompress it first (gunzip)"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "xz-compressed: decompress it first (unxz)"],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd-compressed: decompress it first (unzstd)"],
  [[0x4d, 0x5a], "a PE executable without a Linux boot header"],
];

/**
 * Parses a kernel: an ELF32 executable (vmlinux) or a bzImage, told apart by their magic numbers.
 * @param bytes the whole file; segments are views into it, so it must not change afterwards
 * @throws ImageError naming the field, what was found and what was wanted
 */
export function parseKernelImage(bytes: Uint8Array): KernelImage {
  if (isElf(bytes)) return parseElf(bytes);
  if (isBzImage(bytes)) return parseBzImage(bytes);
  if (bytes.length === 0) throw new ImageError("kernel: the file is empty", "HV_IMAGE_TRUNCATED");
  const mistake = MISTAKES.find(([magic]) => magic.every((byte, index) => bytes[index] === byte));
  const found = mistake?.[1] ?? `not recognised (it starts with ${startOf(bytes)})`;
  const wanted = 'an ELF32 vmlinux ("\\x7fELF") or a bzImage ("HdrS" at offset 0x202)';
  throw new ImageError(`kernel: the file is ${found}; wanted ${wanted}`, "HV_IMAGE_UNSUPPORTED");
}

/**
 * Checks that every segment lies below the end of RAM.
 * @throws ImageError HV_IMAGE_TOO_LARGE
 */
export function requireFit(image: KernelImage, ramBytes: number): void {
  for (const { gpa, memSize } of image.segments) {
    if (gpa + memSize <= ramBytes) continue;
    const needed = Math.ceil((gpa + memSize) / 2 ** 20);
    throw new ImageError(
      `kernel: a segment at ${hex(gpa)} needs ${memSize} bytes and RAM ends at ${hex(ramBytes)}; ` +
        `give the guest at least ${needed} MiB of memory`,
      "HV_IMAGE_TOO_LARGE",
    );
  }
}

function startOf(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
