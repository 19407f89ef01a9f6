/**
 * The filter that packers put before LZMA2 for x86 code: it turned the operands of CALL and JMP into absolute addresses, which repeat.
 * Source: "The .xz File Format", 5.3.2; Igor Pavlov's BCJ filter for x86 (public domain).
 */

/** CALL and JMP with a 32-bit operand, but for bit 0. */
const OPCODE = 0xe8;
const OPERAND_BYTES = 4;
/** By what the last bytes were: whether an operand may begin here, and which byte of it a former opcode overlaps. */
const IS_ALLOWED = [true, true, true, false, true, false, false, false];
const OVERLAP = [0, 1, 2, 2, 3, 3, 3, 3];

/** Undoes the filter in place. @param start address of the first byte */
export function unfilterX86(bytes: Uint8Array, start: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let last = -1;
  let mask = 0;
  for (let at = 0; at < bytes.length - OPERAND_BYTES; at++) {
    if ((bytes[at]! & 0xfe) !== OPCODE) continue;
    const distance = at - last;
    last = at;
    mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7;
    const overlapped = bytes[at + OPERAND_BYTES - OVERLAP[mask]!]!;
    const isBarred = mask !== 0 && (!IS_ALLOWED[mask] || isSignByte(overlapped));
    if (isBarred || !isSignByte(bytes[at + OPERAND_BYTES]!)) {
      mask = (mask << 1) | 1;
      continue;
    }
    view.setUint32(at + 1, relative(view.getUint32(at + 1, true), start + at + 5, mask), true);
    at += OPERAND_BYTES;
  }
}

/** The operand that the filter made `absolute` for the instruction that ends at `end`: 25 bits, sign-extended. */
function relative(absolute: number, end: number, mask: number): number {
  let operand = (absolute - end) | 0;
  for (const shift = OVERLAP[mask]! * 8; mask !== 0; ) {
    if (!isSignByte((operand >>> (24 - shift)) & 0xff)) break;
    operand = ((operand ^ ((1 << (32 - shift)) - 1)) - end) | 0;
  }
  return (operand << 7) >> 7;
}

function isSignByte(byte: number): boolean {
  return byte === 0 || byte === 0xff;
}
