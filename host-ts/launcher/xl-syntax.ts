/**
 * The syntax of xl's configuration files: settings of strings, numbers and lists, one to a line or parted by semicolons; lists may go over
 * several lines; "#" begins a comment. Source: xl.cfg(5), "SYNTAX".
 */
import { ConfigError } from "../base/errors.ts";

/** A place in a file, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A value and where it begins. */
export type XlValue = Place &
  (
    | { readonly kind: "string"; readonly text: string }
    | { readonly kind: "number"; readonly number: number }
    | { readonly kind: "list"; readonly items: readonly XlValue[] }
  );

/** One setting; `place` is that of its name. */
export interface XlSetting {
  readonly name: string;
  readonly place: Place;
  readonly value: XlValue;
}

/** The error for something in a file, with its place. */
export function errorAt(file: string, { line, column }: Place, what: string): ConfigError {
  return new ConfigError(`${file}:${line}:${column}: ${what}`);
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const NESTING_MAX = 8;

/**
 * Reads a whole file; of a name that is set twice the last setting counts, and "+=" adds to what was set.
 * @param file its name, for messages
 * @throws ConfigError with line and column
 */
export function parseXlSyntax(file: string, text: string): XlSetting[] {
  return [...new Reader(file, text).settings().values()];
}

class Reader {
  readonly #file: string;
  readonly #text: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  settings(): Map<string, XlSetting> {
    const settings = new Map<string, XlSetting>();
    for (;;) {
      this.#skip(/[\s;]/);
      if (this.#peek === undefined) return settings;
      const place = this.#place;
      const name = this.#match(/[A-Za-z_][A-Za-z0-9_]*/y);
      if (name === undefined) throw this.#unexpected("the name of a setting");
      this.#skip(/[ \t]/);
      const isAddition = this.#match(/\+=/y) !== undefined;
      if (!isAddition && this.#match(/=/y) === undefined) throw this.#unexpected('"="');
      this.#skip(/[ \t]/);
      const value = this.#value(0);
      const earlier = isAddition ? settings.get(name)?.value : undefined;
      settings.set(name, { name, place, value: this.#joined(earlier, value) });
      this.#skip(/[ \t]/);
      const next = this.#peek;
      if (next !== undefined && next !== "\n" && next !== "\r" && next !== ";") {
        throw this.#unexpected("the end of the line");
      }
    }
  }

  get #peek(): string | undefined {
    return this.#text[this.#at];
  }

  get #place(): Place {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #value(depth: number): XlValue {
    const place = this.#place;
    const quote = this.#match(/['"]/y);
    if (quote !== undefined) return { ...place, kind: "string", text: this.#string(place, quote) };
    if (this.#match(/\[/y) !== undefined) {
      if (depth >= NESTING_MAX) throw errorAt(this.#file, place, "lists are nested too deep");
      return { ...place, kind: "list", items: this.#items(place, depth) };
    }
    const digits = this.#match(/-?(0x[0-9A-Fa-f]+|[0-9]+)(?![A-Za-z0-9_])/y);
    if (digits === undefined) throw this.#unexpected("a string in quotes, a number or a list");
    const isNegative = digits.startsWith("-");
    const number = Number(isNegative ? digits.slice(1) : digits);
    if (!Number.isSafeInteger(number)) throw errorAt(this.#file, place, `${digits} is too large`);
    return { ...place, kind: "number", number: isNegative ? -number : number };
  }

  #items(place: Place, depth: number): XlValue[] {
    const items: XlValue[] = [];
    for (;;) {
      this.#skip(/\s/);
      if (this.#match(/\]/y) !== undefined) return items;
      if (this.#peek === undefined) throw errorAt(this.#file, place, 'this "[" has no "]"');
      items.push(this.#value(depth + 1));
      this.#skip(/\s/);
      if (this.#match(/,/y) === undefined && this.#peek !== "]") {
        if (this.#peek === undefined) throw errorAt(this.#file, place, 'this "[" has no "]"');
        throw this.#unexpected('"," or "]"');
      }
    }
  }

  /** The rest of a string behind its quote. */
  #string(place: Place, quote: string): string {
    let text = "";
    for (;;) {
      const character = this.#match(/[^\n]/y);
      if (character === undefined) {
        throw errorAt(this.#file, place, "this string does not end on its line");
      }
      if (character === quote) return text;
      text += character === "\\" ? this.#escape() : character;
    }
  }

  #escape(): string {
    const hex = this.#match(/x[0-9A-Fa-f]{2}/y);
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex.slice(1), 16));
    const octal = this.#match(/[0-3]?[0-7]{1,2}/y);
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    const character = this.#match(/[^\n]/y);
    if (character === undefined) throw this.#unexpected("the rest of an escape");
    return ESCAPES[character] ?? character;
  }

  #joined(earlier: XlValue | undefined, value: XlValue): XlValue {
    if (earlier === undefined) return value;
    if (earlier.kind === "list" && value.kind === "list") {
      return { ...earlier, items: [...earlier.items, ...value.items] };
    }
    if (earlier.kind === "string" && value.kind === "string") {
      return { ...earlier, text: earlier.text + value.text };
    }
    throw errorAt(this.#file, value, `"+=" joins two lists or two strings`);
  }

  /** Passes over characters of a class, and over comments. */
  #skip(characters: RegExp): void {
    for (;;) {
      const next = this.#peek;
      if (next === "#") this.#match(/#[^\n]*/y);
      else if (next !== undefined && characters.test(next)) this.#match(/[\s\S]/y);
      else return;
    }
  }

  /** Takes what a sticky expression finds here. */
  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text)?.[0];
    if (found === undefined) return undefined;
    this.#at += found.length;
    if (found === "\n") {
      this.#line++;
      this.#lineStart = this.#at;
    }
    return found;
  }

  #unexpected(wanted: string): ConfigError {
    const next = this.#peek;
    const found =
      next === undefined ? "the file ends" : next === "\n" ? "the line ends" : `there is "${next}"`;
    return errorAt(this.#file, this.#place, `${found}, where ${wanted} was expected`);
  }
}
