/**
 * Addresses to names and back, from an ELF symbol table or a System.map.
 * Linux gives the map as one line per symbol, `c1000000 T startup_32`, sorted by address.
 */
import type { KernelSymbol } from "../boot/image.ts";

/** Where an address lies: `offset` bytes into `name`, whose length is `size` (0 when unknown). */
export interface Located {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Linux links the kernel here and starts it at the same address minus this, before paging. */
const LINUX_PAGE_OFFSET = 0xc0000000;
/** An address this far past a symbol of unknown size no longer belongs to it. */
const MAX_UNSIZED_BYTES = 0x10000;

/** A searchable list of symbols. */
export class SymbolTable {
  readonly #symbols: readonly KernelSymbol[];
  #codeRange: { start: number; end: number } | undefined;

  /** @param symbols in ascending order of address */
  constructor(symbols: readonly KernelSymbol[]) {
    this.#symbols = symbols;
  }

  get isEmpty(): boolean {
    return this.#symbols.length === 0;
  }

  /** @returns the address of a symbol by its exact name, undefined when there is none. */
  addressOf(name: string): number | undefined {
    return this.#symbols.find((symbol) => symbol.name === name)?.address;
  }

  /** @returns what lies at `address`; a low address is also tried as the not yet relocated alias of a Linux kernel's. */
  locate(address: number): Located | undefined {
    const found = this.#locate(address);
    if (found !== undefined || address >= LINUX_PAGE_OFFSET) return found;
    return this.#locate(address + LINUX_PAGE_OFFSET);
  }

  /** Formats as the kernel's own oops does: `name+0x12/0x40`, or undefined where no symbol is near. */
  format(address: number): string | undefined {
    const found = this.locate(address);
    if (found === undefined) return undefined;
    const size = found.size > 0 ? `/0x${found.size.toString(16)}` : "";
    return `${found.name}+0x${found.offset.toString(16)}${size}`;
  }

  /** Whether the address is inside the kernel's code, as far as the table tells. */
  isCode(address: number): boolean {
    this.#codeRange ??= {
      start: this.addressOf("_stext") ?? this.addressOf("_text") ?? 0,
      end: this.addressOf("_etext") ?? 0,
    };
    const { start, end } = this.#codeRange;
    return end > start ? address >= start && address < end : this.#locate(address) !== undefined;
  }

  #locate(address: number): Located | undefined {
    let low = 0;
    let high = this.#symbols.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const symbol = this.#symbols[middle];
      if (symbol !== undefined && symbol.address <= address) low = middle + 1;
      else high = middle;
    }
    // Of several symbols at one address, one that knows its size says more.
    for (let index = low - 1; index >= 0; index--) {
      const symbol = this.#symbols[index];
      if (symbol === undefined) break;
      const isNearest = symbol.address === this.#symbols[low - 1]?.address;
      if (!isNearest) break;
      const offset = address - symbol.address;
      if (symbol.size > 0 && offset < symbol.size)
        return { name: symbol.name, offset, size: symbol.size };
    }
    const nearest = this.#symbols[low - 1];
    if (nearest === undefined || nearest.size > 0) return undefined;
    const offset = address - nearest.address;
    return offset < MAX_UNSIZED_BYTES ? { name: nearest.name, offset, size: 0 } : undefined;
  }
}

/**
 * Parses a System.map (also the output of `nm -n`). Lines of any other form are skipped.
 * The size of a symbol is the distance to the next one.
 */
export function parseSystemMap(text: string): SymbolTable {
  const symbols: { name: string; address: number }[] = [];
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]{8}) [bBdDrRtTvVwW] (\S+)/.exec(line);
    if (match) symbols.push({ address: Number.parseInt(match[1] ?? "", 16), name: match[2] ?? "" });
  }
  symbols.sort((a, b) => a.address - b.address);
  let next = 0;
  return new SymbolTable(
    symbols.map(({ name, address }, index) => {
      while (next < symbols.length && (next <= index || symbols[next]?.address === address)) next++;
      return { name, address, size: (symbols[next]?.address ?? address) - address };
    }),
  );
}
