/**
 * `npm run tour [-- Host]`: the program as a book. A block comment that begins with a chapter and a three-digit number is a
 * paragraph of it; this prints them in reading order. `--check` only verifies that numbers are unique in a chapter and
 * ascend within a file.
 */
import { readSource, sourceFiles } from "./files.ts";

/** Chapters, in reading order. */
const CHAPTERS = ["Preparation", "Guest", "Drivers", "Launcher", "Host", "Switcher", "Mastery"];

/** One paragraph. `line` counts from 1. */
export interface Paragraph {
  chapter: string;
  number: number;
  text: string;
  path: string;
  line: number;
}

/** @returns the tour paragraphs of one source text, in file order. */
export function paragraphsOf(path: string, source: string): Paragraph[] {
  const pattern = new RegExp(
    `/\\*\\*?\\s*(?:\\* )?(${CHAPTERS.join("|")}) (\\d{3}): ([^]*?)\\*/`,
    "g",
  );
  return [...source.matchAll(pattern)].map((match) => ({
    chapter: match[1] ?? "",
    number: Number(match[2]),
    text: (match[3] ?? "").replace(/\n\s*\* ?/g, "\n").trim(),
    path,
    line: source.slice(0, match.index).split("\n").length,
  }));
}

/** @returns one sentence per broken rule: a number used twice in a chapter, or descending within a file. */
export function tourProblems(paragraphs: Paragraph[]): string[] {
  const problems: string[] = [];
  const seen = new Map<string, Paragraph>();
  const last = new Map<string, number>();
  for (const each of paragraphs) {
    const name = `${each.chapter} ${String(each.number).padStart(3, "0")}`;
    const where = `${each.path}:${each.line}`;
    const twin = seen.get(name);
    if (twin) problems.push(`${where}: ${name} is already at ${twin.path}:${twin.line}`);
    seen.set(name, each);
    const key = `${each.path} ${each.chapter}`;
    if (each.number < (last.get(key) ?? 0))
      problems.push(`${where}: ${name} stands after a later one`);
    last.set(key, each.number);
  }
  return problems;
}

if (process.argv[1]?.endsWith("tour.ts")) {
  const folders = ["abi", "core-as", "host-ts", "guests"];
  const paragraphs = sourceFiles(folders, [".ts", ".c", ".h", ".S"]).flatMap((path) =>
    paragraphsOf(path, readSource(path)),
  );
  const problems = tourProblems(paragraphs);
  for (const problem of problems) console.error(problem);
  if (process.argv[2] === "--check") {
    console.log(`tour: ${paragraphs.length} paragraphs, ${problems.length} problems`);
    process.exit(problems.length === 0 ? 0 : 1);
  }
  const wanted = process.argv[2];
  for (const chapter of CHAPTERS.filter((name) => !wanted || name === wanted)) {
    const chosen = paragraphs.filter((each) => each.chapter === chapter);
    for (const each of chosen.sort((a, b) => a.number - b.number)) {
      console.log(
        `\n[${chapter} ${String(each.number).padStart(3, "0")}]  ${each.path}:${each.line}\n${each.text}`,
      );
    }
  }
}
