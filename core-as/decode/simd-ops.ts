/**
 * Operation numbers of the MMX, SSE and SSE2 instructions, dense and in groups: exec/simd.ts dispatches on them.
 * One number serves every operand shape (MMX or XMM, packed or scalar); the shape travels beside it.
 */

/** Packed integers: both operands are vectors, the first is replaced. */
export const SIMD_PUNPCKLBW: u32 = 1;
export const SIMD_PUNPCKLWD: u32 = 2;
export const SIMD_PUNPCKLDQ: u32 = 3;
export const SIMD_PUNPCKLQDQ: u32 = 4;
export const SIMD_PUNPCKHBW: u32 = 5;
export const SIMD_PUNPCKHWD: u32 = 6;
export const SIMD_PUNPCKHDQ: u32 = 7;
export const SIMD_PUNPCKHQDQ: u32 = 8;
export const SIMD_PACKSSWB: u32 = 9;
export const SIMD_PACKUSWB: u32 = 10;
export const SIMD_PACKSSDW: u32 = 11;
export const SIMD_PCMPGTB: u32 = 12;
export const SIMD_PCMPGTW: u32 = 13;
export const SIMD_PCMPGTD: u32 = 14;
export const SIMD_PCMPEQB: u32 = 15;
export const SIMD_PCMPEQW: u32 = 16;
export const SIMD_PCMPEQD: u32 = 17;
export const SIMD_PADDB: u32 = 18;
export const SIMD_PADDW: u32 = 19;
export const SIMD_PADDD: u32 = 20;
export const SIMD_PADDQ: u32 = 21;
export const SIMD_PSUBB: u32 = 22;
export const SIMD_PSUBW: u32 = 23;
export const SIMD_PSUBD: u32 = 24;
export const SIMD_PSUBQ: u32 = 25;
export const SIMD_PADDSB: u32 = 26;
export const SIMD_PADDSW: u32 = 27;
export const SIMD_PADDUSB: u32 = 28;
export const SIMD_PADDUSW: u32 = 29;
export const SIMD_PSUBSB: u32 = 30;
export const SIMD_PSUBSW: u32 = 31;
export const SIMD_PSUBUSB: u32 = 32;
export const SIMD_PSUBUSW: u32 = 33;
export const SIMD_PMULLW: u32 = 34;
export const SIMD_PMULHW: u32 = 35;
export const SIMD_PMULHUW: u32 = 36;
export const SIMD_PMADDWD: u32 = 37;
export const SIMD_PMULUDQ: u32 = 38;
export const SIMD_PSADBW: u32 = 39;
export const SIMD_PMINUB: u32 = 40;
export const SIMD_PMAXUB: u32 = 41;
export const SIMD_PMINSW: u32 = 42;
export const SIMD_PMAXSW: u32 = 43;
export const SIMD_PAVGB: u32 = 44;
export const SIMD_PAVGW: u32 = 45;
export const SIMD_PAND: u32 = 46;
export const SIMD_PANDN: u32 = 47;
export const SIMD_POR: u32 = 48;
export const SIMD_PXOR: u32 = 49;

/** Packed shifts: the count is the second operand's low quadword. */
export const SIMD_PSRLW: u32 = 50;
export const SIMD_PSRLD: u32 = 51;
export const SIMD_PSRLQ: u32 = 52;
export const SIMD_PSRAW: u32 = 53;
export const SIMD_PSRAD: u32 = 54;
export const SIMD_PSLLW: u32 = 55;
export const SIMD_PSLLD: u32 = 56;
export const SIMD_PSLLQ: u32 = 57;
export const SIMD_PSRLDQ: u32 = 58;
export const SIMD_PSLLDQ: u32 = 59;

/** Shuffles by an immediate. */
export const SIMD_PSHUFW: u32 = 60;
export const SIMD_PSHUFD: u32 = 61;
export const SIMD_PSHUFHW: u32 = 62;
export const SIMD_PSHUFLW: u32 = 63;
export const SIMD_SHUFPS: u32 = 64;
export const SIMD_SHUFPD: u32 = 65;

/** Floating point on packed or scalar numbers. */
export const SIMD_FADD: u32 = 66;
export const SIMD_FMUL: u32 = 67;
export const SIMD_FSUB: u32 = 68;
export const SIMD_FMIN: u32 = 69;
export const SIMD_FDIV: u32 = 70;
export const SIMD_FMAX: u32 = 71;
export const SIMD_FSQRT: u32 = 72;
export const SIMD_FCMP: u32 = 73;

/** Estimates, and comparisons into EFLAGS. */
export const SIMD_RSQRT: u32 = 74;
export const SIMD_RCP: u32 = 75;
export const SIMD_UCOMIS: u32 = 76;
export const SIMD_COMIS: u32 = 77;

/** Conversions, one for each opcode: 2A, 2C, 2D, 5A, 5B, E6. */
export const SIMD_CVT_FROM_INT: u32 = 78;
export const SIMD_CVT_TO_INT_TRUNC: u32 = 79;
export const SIMD_CVT_TO_INT: u32 = 80;
export const SIMD_CVT_WIDTH: u32 = 81;
export const SIMD_CVT_DWORDS: u32 = 82;
export const SIMD_CVT_DOUBLES: u32 = 83;

/** Moves. */
export const SIMD_LOAD: u32 = 84;
export const SIMD_STORE: u32 = 85;
export const SIMD_LOAD_LOW: u32 = 86;
export const SIMD_LOAD_HIGH: u32 = 87;
export const SIMD_STORE_LOW: u32 = 88;
export const SIMD_STORE_HIGH: u32 = 89;
export const SIMD_MMX_LOAD: u32 = 90;
export const SIMD_MMX_STORE: u32 = 91;
export const SIMD_MOVD_LOAD: u32 = 92;
export const SIMD_MOVD_STORE: u32 = 93;
export const SIMD_MOVQ_LOAD: u32 = 94;
export const SIMD_MOVQ_STORE: u32 = 95;
export const SIMD_MOVQ2DQ: u32 = 96;
export const SIMD_MOVDQ2Q: u32 = 97;
export const SIMD_MOVMSK: u32 = 98;
export const SIMD_PMOVMSKB: u32 = 99;
export const SIMD_PINSRW: u32 = 100;
export const SIMD_PEXTRW: u32 = 101;
export const SIMD_MOVNTI: u32 = 102;
export const SIMD_MASKMOV: u32 = 103;

/** State. */
export const SIMD_EMMS: u32 = 104;
export const SIMD_LDMXCSR: u32 = 105;
export const SIMD_STMXCSR: u32 = 106;
export const SIMD_CLFLUSH: u32 = 107;

/** From here on: what came with SSE3, SSSE3, SSE4.1 and SSE4.2 (decode/simd-later.ts). These have MMX forms too: */
export const SIMD_PSHUFB: u32 = 108;
export const SIMD_PHADDW: u32 = 109;
export const SIMD_PHADDD: u32 = 110;
export const SIMD_PHADDSW: u32 = 111;
export const SIMD_PHSUBW: u32 = 112;
export const SIMD_PHSUBD: u32 = 113;
export const SIMD_PHSUBSW: u32 = 114;
export const SIMD_PMADDUBSW: u32 = 115;
export const SIMD_PSIGNB: u32 = 116;
export const SIMD_PSIGNW: u32 = 117;
export const SIMD_PSIGND: u32 = 118;
export const SIMD_PMULHRSW: u32 = 119;
export const SIMD_PABSB: u32 = 120;
export const SIMD_PABSW: u32 = 121;
export const SIMD_PABSD: u32 = 122;
export const SIMD_PALIGNR: u32 = 123;

/** ... and these have not. Both operands are vectors: */
export const SIMD_PMULDQ: u32 = 124;
export const SIMD_PCMPEQQ: u32 = 125;
export const SIMD_PCMPGTQ: u32 = 126;
export const SIMD_PACKUSDW: u32 = 127;
export const SIMD_PMINSB: u32 = 128;
export const SIMD_PMINSD: u32 = 129;
export const SIMD_PMINUW: u32 = 130;
export const SIMD_PMINUD: u32 = 131;
export const SIMD_PMAXSB: u32 = 132;
export const SIMD_PMAXSD: u32 = 133;
export const SIMD_PMAXUW: u32 = 134;
export const SIMD_PMAXUD: u32 = 135;
export const SIMD_PMULLD: u32 = 136;
/** XMM0 chooses: */
export const SIMD_PBLENDVB: u32 = 137;
export const SIMD_BLENDVPS: u32 = 138;
export const SIMD_BLENDVPD: u32 = 139;
/** The immediate does: */
export const SIMD_BLENDPS: u32 = 140;
export const SIMD_BLENDPD: u32 = 141;
export const SIMD_PBLENDW: u32 = 142;
export const SIMD_MPSADBW: u32 = 143;
export const SIMD_INSERTPS: u32 = 144;
/** The destination's old value does not matter: */
export const SIMD_PHMINPOSUW: u32 = 145;
export const SIMD_MOVSLDUP: u32 = 146;
export const SIMD_MOVSHDUP: u32 = 147;
export const SIMD_MOVDDUP: u32 = 148;
export const SIMD_PMOVSXBW: u32 = 149;
export const SIMD_PMOVSXBD: u32 = 150;
export const SIMD_PMOVSXBQ: u32 = 151;
export const SIMD_PMOVSXWD: u32 = 152;
export const SIMD_PMOVSXWQ: u32 = 153;
export const SIMD_PMOVSXDQ: u32 = 154;
export const SIMD_PMOVZXBW: u32 = 155;
export const SIMD_PMOVZXBD: u32 = 156;
export const SIMD_PMOVZXBQ: u32 = 157;
export const SIMD_PMOVZXWD: u32 = 158;
export const SIMD_PMOVZXWQ: u32 = 159;
export const SIMD_PMOVZXDQ: u32 = 160;

/** General registers, flags and strings. */
export const SIMD_PTEST: u32 = 161;
export const SIMD_PEXTRB: u32 = 162;
export const SIMD_PEXTRW_RM: u32 = 163;
export const SIMD_PEXTRD: u32 = 164;
export const SIMD_PINSRB: u32 = 165;
export const SIMD_PINSRD: u32 = 166;
export const SIMD_PCMPESTRM: u32 = 167;
export const SIMD_PCMPESTRI: u32 = 168;
export const SIMD_PCMPISTRM: u32 = 169;
export const SIMD_PCMPISTRI: u32 = 170;

/** Floating point. */
export const SIMD_ADDSUB: u32 = 171;
export const SIMD_HADD: u32 = 172;
export const SIMD_HSUB: u32 = 173;
export const SIMD_ROUNDPS: u32 = 174;
export const SIMD_ROUNDPD: u32 = 175;
export const SIMD_ROUNDSS: u32 = 176;
export const SIMD_ROUNDSD: u32 = 177;
export const SIMD_DPPS: u32 = 178;
export const SIMD_DPPD: u32 = 179;
