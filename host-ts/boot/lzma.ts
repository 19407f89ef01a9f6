/**
 * The LZMA decompressor: a range decoder over adaptive bit models, into a buffer that is also its dictionary. It serves lzma files here and
 * the chunks of xz files (xz.ts).
 *
 * Source: Igor Pavlov's LZMA specification (public domain); names are the specification's.
 */
import { damaged, type Unpacked } from "./unpacked.ts";

const TOP = 2 ** 24;
const MODEL_TOTAL_BITS = 11;
const MODEL_TOTAL = 1 << MODEL_TOTAL_BITS;
const MOVE_BITS = 5;
const INITIAL = MODEL_TOTAL >> 1;
/** Bytes that the range decoder reads before its first bit. */
export const RANGE_START_BYTES = 5;

const STATES = 12;
const STATES_AFTER_LITERAL = 7;
const POSITION_STATES_MAX = 16;
const LENGTH_STATES = 4;
const MATCH_MIN = 2;
const END_POSITION_MODEL = 14;
const FULL_DISTANCES = 128;
const ALIGN_BITS = 4;

/** Models of one length: choice, second choice, low and middle trees by position state, the high tree. */
const LENGTH_LOW = 2;
const LENGTH_MIDDLE = LENGTH_LOW + (POSITION_STATES_MAX << 3);
const LENGTH_HIGH = LENGTH_MIDDLE + (POSITION_STATES_MAX << 3);
const LENGTH_MODELS = LENGTH_HIGH + 256;

/** Where the models of each kind begin in the one array of them all. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES_MAX;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const POSITION_SLOT = IS_REP0_LONG + STATES * POSITION_STATES_MAX;
const POSITION = POSITION_SLOT + LENGTH_STATES * 64;
const ALIGN = POSITION + FULL_DISTANCES;
const MATCH_LENGTH = ALIGN + (1 << ALIGN_BITS);
const REP_LENGTH = MATCH_LENGTH + LENGTH_MODELS;
const LITERAL = REP_LENGTH + LENGTH_MODELS;
const LITERAL_MODELS = 0x300;

/** Properties byte, dictionary size, unpacked size. */
const HEADER_BYTES = 13;
const PROPERTIES_END = 9 * 5 * 5;
const UNKNOWN_SIZE = 0xffffffff;

/** Unpacks a file of the format .lzma into `output`. Throws ImageError for one that is damaged or too large. */
export function unpackLzma(bytes: Uint8Array, output: Unpacked): void {
  if (bytes.length < HEADER_BYTES + RANGE_START_BYTES) throw damaged("lzma");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const low = view.getUint32(5, true);
  const high = view.getUint32(9, true);
  const isOpen = low === UNKNOWN_SIZE && high === UNKNOWN_SIZE;
  const decoder = new LzmaDecoder("lzma", bytes, output);
  decoder.setProperties(bytes[0]!);
  decoder.startRange(HEADER_BYTES, bytes.length);
  if (!isOpen) output.reserve(low + high * 2 ** 32);
  decoder.decode(isOpen ? Number.POSITIVE_INFINITY : low + high * 2 ** 32);
}

/** Decodes from `input` to the end of `output`. */
export class LzmaDecoder {
  readonly #format: string;
  readonly #input: Uint8Array;
  readonly #output: Unpacked;
  #models = new Uint16Array(0);
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  /** First byte of the output that matches may reach. */
  #dictionaryStart = 0;

  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;

  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;

  /** @param format for messages */
  constructor(format: string, input: Uint8Array, output: Unpacked) {
    this.#format = format;
    this.#input = input;
    this.#output = output;
    this.#dictionaryStart = output.length;
  }

  /** Offset in the input of the next byte that the range decoder would read. */
  get position(): number {
    return this.#at;
  }

  /** Whether the range decoder stands where an encoder leaves it. */
  get isFinished(): boolean {
    return this.#code === 0;
  }

  /** Forgets what was put out so far. */
  resetDictionary(): void {
    this.#dictionaryStart = this.#output.length;
  }

  /** Takes the byte that says lc, lp and pb, and begins anew with all models. */
  setProperties(byte: number): void {
    if (byte >= PROPERTIES_END) throw damaged(this.#format);
    const rest = Math.floor(byte / 9);
    this.#literalContextBits = byte % 9;
    const literalPositionBits = rest % 5;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << Math.floor(rest / 5)) - 1;
    const literals = LITERAL_MODELS << (this.#literalContextBits + literalPositionBits);
    this.#models = new Uint16Array(LITERAL + literals);
    this.resetState();
  }

  resetState(): void {
    this.#models.fill(INITIAL);
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
  }

  /** Begins to decode the input's bytes from `at` up to `end`. */
  startRange(at: number, end: number): void {
    if (end - at < RANGE_START_BYTES || this.#input[at] !== 0) throw damaged(this.#format);
    this.#code = new DataView(this.#input.buffer, this.#input.byteOffset + at + 1, 4).getUint32(0);
    this.#range = 0xffffffff;
    this.#at = at + RANGE_START_BYTES;
    this.#end = end;
  }

  /** Puts out bytes until there are `limit` of them, or to the end marker. Throws ImageError for damaged data. */
  decode(limit: number): void {
    const models = this.#models;
    const output = this.#output;
    while (output.length < limit) {
      if (this.#at > this.#end) throw damaged(this.#format);
      const positionState = (output.length - this.#dictionaryStart) & this.#positionMask;
      const state = this.#state;
      if (this.#bit(models, IS_MATCH + state * POSITION_STATES_MAX + positionState) === 0) {
        this.#literal(models);
        continue;
      }
      let length: number;
      if (this.#bit(models, IS_REP + state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(models, MATCH_LENGTH, positionState);
        this.#state = state < STATES_AFTER_LITERAL ? 7 : 10;
        this.#rep0 = this.#distance(models, length);
        if (this.#rep0 === 0xffffffff) return;
      } else if (this.#isShortRep(models, positionState)) {
        this.#state = state < STATES_AFTER_LITERAL ? 9 : 11;
        length = 1 - MATCH_MIN;
      } else {
        length = this.#length(models, REP_LENGTH, positionState);
        this.#state = state < STATES_AFTER_LITERAL ? 8 : 11;
      }
      this.#copy(length + MATCH_MIN, limit);
    }
    if (this.#at > this.#end) throw damaged(this.#format);
  }

  /** Brings the repeated distance that is meant to rep0. @returns whether a single byte is repeated */
  #isShortRep(models: Uint16Array, positionState: number): boolean {
    const state = this.#state;
    if (this.#bit(models, IS_REP_G0 + state) === 0) {
      return this.#bit(models, IS_REP0_LONG + state * POSITION_STATES_MAX + positionState) === 0;
    }
    let distance = this.#rep1;
    if (this.#bit(models, IS_REP_G1 + state) !== 0) {
      distance = this.#rep2;
      if (this.#bit(models, IS_REP_G2 + state) !== 0) {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
    return false;
  }

  #copy(length: number, limit: number): void {
    const output = this.#output;
    const distance = this.#rep0 + 1;
    const reach = output.length - this.#dictionaryStart;
    if (distance > reach || output.length + length > limit) throw damaged(this.#format);
    output.repeat(distance, length);
  }

  #literal(models: Uint16Array): void {
    const output = this.#output;
    const position = output.length - this.#dictionaryStart;
    const previous = position === 0 ? 0 : output.back(1);
    const context =
      ((position & this.#literalPositionMask) << this.#literalContextBits) +
      (previous >>> (8 - this.#literalContextBits));
    const base = LITERAL + LITERAL_MODELS * context;
    let symbol = 1;
    if (this.#state >= STATES_AFTER_LITERAL) {
      if (this.#rep0 >= position) throw damaged(this.#format);
      let matched = output.back(this.#rep0 + 1);
      do {
        const matchBit = (matched >>> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(models, base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(models, base + symbol);
    output.push(symbol & 0xff);
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  /** A length less MATCH_MIN. */
  #length(models: Uint16Array, base: number, positionState: number): number {
    if (this.#bit(models, base) === 0) {
      return this.#tree(models, base + LENGTH_LOW + (positionState << 3), 3);
    }
    if (this.#bit(models, base + 1) === 0) {
      return 8 + this.#tree(models, base + LENGTH_MIDDLE + (positionState << 3), 3);
    }
    return 16 + this.#tree(models, base + LENGTH_HIGH, 8);
  }

  /** A distance less 1; all ones is the end marker. */
  #distance(models: Uint16Array, length: number): number {
    const lengthState = Math.min(length, LENGTH_STATES - 1);
    const slot = this.#tree(models, POSITION_SLOT + (lengthState << 6), 6);
    if (slot < 4) return slot;
    const directBits = (slot >>> 1) - 1;
    const distance = (2 | (slot & 1)) * 2 ** directBits;
    if (slot < END_POSITION_MODEL) {
      return distance + this.#reverseTree(models, POSITION + distance - slot, directBits);
    }
    const high = this.#direct(directBits - ALIGN_BITS) * 2 ** ALIGN_BITS;
    return distance + high + this.#reverseTree(models, ALIGN, ALIGN_BITS);
  }

  #tree(models: Uint16Array, base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(models, base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(models: Uint16Array, base: number, bits: number): number {
    let index = 1;
    let symbol = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(models, base + index);
      index = (index << 1) | bit;
      symbol |= bit << i;
    }
    return symbol;
  }

  /** Bits that no model foretells. */
  #direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#range >>>= 1;
      const isOne = this.#code >= this.#range;
      if (isOne) this.#code -= this.#range;
      value = value * 2 + (isOne ? 1 : 0);
      this.#normalise();
    }
    return value;
  }

  #bit(models: Uint16Array, index: number): number {
    const model = models[index]!;
    const bound = (this.#range >>> MODEL_TOTAL_BITS) * model;
    let bit: number;
    if (this.#code < bound) {
      this.#range = bound;
      models[index] = model + ((MODEL_TOTAL - model) >> MOVE_BITS);
      bit = 0;
    } else {
      this.#range -= bound;
      this.#code -= bound;
      models[index] = model - (model >> MOVE_BITS);
      bit = 1;
    }
    this.#normalise();
    return bit;
  }

  /** Reads zeroes past the end, which `decode` sees at the next symbol. */
  #normalise(): void {
    if (this.#range >= TOP) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#input[this.#at++] ?? 0)) >>> 0;
  }
}
