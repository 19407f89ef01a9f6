/** The smallest Xen guests: one that blocks for ever, and two that end at once. */
import { XEN_ELFNOTE_PAE_MODE } from "../../abi/xen-layout.ts";
import { buildElf } from "../unit/boot/images.ts";

const SCHED_OP = 29;
const SCHED_OP_BLOCK = 1;
const SCHED_OP_SHUTDOWN = 2;
const INT_0X82 = [0xcd, 0x82];
const AT = 0x100000;
/** Of struct sched_shutdown. */
const REASON_AT = 0x800;
const SHUTDOWN_REBOOT = 1;

function image(code: readonly number[], reason = 0): Uint8Array {
  const bytes = new Uint8Array(REASON_AT + 4);
  bytes.set(code);
  bytes[REASON_AT] = reason;
  const notes = [
    { name: "Xen", type: XEN_ELFNOTE_PAE_MODE, desc: new TextEncoder().encode("yes\0") },
  ];
  return buildElf({
    segments: [{ paddr: AT, bytes, memsz: 0x1000 }],
    notes,
  });
}

const schedOp = (operation: number): number[] => [
  ...[0xb8, SCHED_OP, 0, 0, 0],
  ...[0xbb, operation, 0, 0, 0],
  ...[0xb9, ...new Uint8Array(Uint32Array.of(AT + REASON_AT).buffer)],
  ...INT_0X82,
];
const block = schedOp(SCHED_OP_BLOCK);

/** Blocks, again and again. */
export const xenSleeper = image([...block, 0xeb, 0x100 - block.length - 2]);
const shutdown = [...schedOp(SCHED_OP_SHUTDOWN), 0xeb, 0xfe];
/** Powers off at once. */
export const xenQuitter = image(shutdown);
/** Asks for a restart at once. */
export const xenRestarter = image(shutdown, SHUTDOWN_REBOOT);
