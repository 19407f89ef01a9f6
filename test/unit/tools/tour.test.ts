import { expect, test } from "vitest";
import { paragraphsOf, tourProblems } from "../../../tools/tour.ts";

test("a paragraph keeps its chapter, number, text and line", () => {
  const source = "x;\n/* Host 030: The loop.\n * It goes round. */\n";
  expect(paragraphsOf("f.ts", source)).toEqual([
    { chapter: "Host", number: 30, text: "The loop.\nIt goes round.", path: "f.ts", line: 2 },
  ]);
});

test("a paragraph may begin on the comment's second line", () => {
  expect(paragraphsOf("f.c", "/*\n * Guest 010: Ring 1.\n *\n * More.\n */")).toMatchObject([
    { chapter: "Guest", number: 10, text: "Ring 1.\n\nMore." },
  ]);
});

test("numbers used twice, and numbers that descend in a file, are problems", () => {
  const source = "/* Host 020: b */ /* Host 010: a */ /* Host 020: c */";
  expect(tourProblems(paragraphsOf("f.ts", source))).toHaveLength(2);
});
