/** Just enough of an assembler for protection tests: one function per instruction, each giving the bytes of its 32-bit encoding. */

export type Code = readonly number[];

/** Little-endian bytes of a value. */
export function le(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);
}

/** ModR/M for `reg` and an absolute address. */
const absolute = (reg: number, address: number): Code => [(reg << 3) | 5, ...le(address, 4)];
const direct = (reg: number, rm: number): number => 0xc0 | (reg << 3) | rm;
/** Segment prefixes by segment number, SEG_ES .. SEG_GS. */
const PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const PUSH_SEG = [[0x06], [0x0e], [0x16], [0x1e], [0x0f, 0xa0], [0x0f, 0xa8]];
const POP_SEG = [[0x07], [], [0x17], [0x1f], [0x0f, 0xa1], [0x0f, 0xa9]];

/** The instruction with a 16-bit operand size. */
export const o16 = (code: Code): Code => [0x66, ...code];

export const hlt: Code = [0xf4];
export const nop: Code = [0x90];
export const iret: Code = [0xcf];
export const int3: Code = [0xcc];
export const into: Code = [0xce];
export const int1: Code = [0xf1];
export const pushf: Code = [0x9c];
export const popf: Code = [0x9d];
export const cli: Code = [0xfa];
export const sti: Code = [0xfb];
export const clts: Code = [0x0f, 0x06];
export const cpuid: Code = [0x0f, 0xa2];
export const rdtsc: Code = [0x0f, 0x31];
export const rdmsr: Code = [0x0f, 0x32];
export const wrmsr: Code = [0x0f, 0x30];
export const sysenter: Code = [0x0f, 0x34];
export const ud2: Code = [0x0f, 0x0b];
export const inDx8: Code = [0xec];
export const retf: Code = [0xcb];

export const movImm = (reg: number, value: number): Code => [0xb8 + reg, ...le(value, 4)];
export const push = (reg: number): Code => [0x50 + reg];
export const pop = (reg: number): Code => [0x58 + reg];
export const pushImm = (value: number): Code => [0x68, ...le(value, 4)];
export const pushSeg = (seg: number): Code => PUSH_SEG[seg]!;
export const popSeg = (seg: number): Code => POP_SEG[seg]!;
export const movToSeg = (seg: number, reg: number): Code => [0x8e, direct(seg, reg)];
export const movFromSeg = (reg: number, seg: number): Code => [0x8c, direct(seg, reg)];
/** MOV EAX, seg:[address]. */
export const load = (seg: number, address: number): Code => [PREFIX[seg]!, 0xa1, ...le(address, 4)];
/** MOV seg:[address], EAX. */
export const store = (seg: number, address: number): Code => [
  PREFIX[seg]!,
  0xa3,
  ...le(address, 4),
];
export const intN = (vector: number): Code => [0xcd, vector];
export const inImm8 = (port: number): Code => [0xe4, port];
export const outImm32 = (port: number): Code => [0xe7, port];
export const farJump = (selector: number, offset: number): Code => [
  0xea,
  ...le(offset, 4),
  ...le(selector, 2),
];
export const farCall = (selector: number, offset: number): Code => [
  0x9a,
  ...le(offset, 4),
  ...le(selector, 2),
];
export const retfN = (bytes: number): Code => [0xca, ...le(bytes, 2)];
export const lssAt = (reg: number, address: number): Code => [
  0x0f,
  0xb2,
  ...absolute(reg, address),
];
export const lgdt = (address: number): Code => [0x0f, 0x01, ...absolute(2, address)];
export const sgdt = (address: number): Code => [0x0f, 0x01, ...absolute(0, address)];
export const smsw = (reg: number): Code => [0x0f, 0x01, direct(4, reg)];
export const lmsw = (reg: number): Code => [0x0f, 0x01, direct(6, reg)];
export const lldt = (reg: number): Code => [0x0f, 0x00, direct(2, reg)];
export const ltr = (reg: number): Code => [0x0f, 0x00, direct(3, reg)];
export const str = (reg: number): Code => [0x0f, 0x00, direct(1, reg)];
export const verw = (reg: number): Code => [0x0f, 0x00, direct(5, reg)];
export const lar = (reg: number, selector: number): Code => [0x0f, 0x02, direct(reg, selector)];
export const lsl = (reg: number, selector: number): Code => [0x0f, 0x03, direct(reg, selector)];
export const movToCr = (cr: number, reg: number): Code => [0x0f, 0x22, direct(cr, reg)];
export const movFromCr = (reg: number, cr: number): Code => [0x0f, 0x20, direct(cr, reg)];
export const movToDr = (dr: number, reg: number): Code => [0x0f, 0x23, direct(dr, reg)];
export const movFromDr = (reg: number, dr: number): Code => [0x0f, 0x21, direct(dr, reg)];
