import { expect, test } from "vitest";
import { importsOf, violations } from "../../../tools/layers.ts";

const check = (path: string, text: string) => violations(new Map([[path, text]]));

test("imports are found in every form, comments with the word import are not", () => {
  const text = `import { a,\n  b } from "./a.ts";\nimport "./b.ts";\nexport * from './c.ts';\nawait import("./d.ts");\nimport type { T } from "../t.ts";\n// an important word\n`;
  expect(importsOf(text).sort()).toEqual(["../t.ts", "./a.ts", "./b.ts", "./c.ts", "./d.ts"]);
});

test("a folder may import to its left and not to its right", () => {
  expect(check("host-ts/devices/x.ts", 'import { a } from "../base/a.ts";')).toEqual([]);
  expect(check("host-ts/base/x.ts", 'import { a } from "../devices/a.ts";')).toHaveLength(1);
});

test("personalities never import each other", () => {
  expect(check("host-ts/xen/x.ts", 'import { a } from "../lguest/a.ts";')).toHaveLength(1);
});

test("only base/core* reaches the core, and the core never reaches the Host", () => {
  expect(check("host-ts/base/core.ts", 'import { a } from "../../core-as/layout.ts";')).toEqual([]);
  expect(
    check("host-ts/base/other.ts", 'import { a } from "../../core-as/layout.ts";'),
  ).toHaveLength(1);
  expect(check("core-as/exec/x.ts", 'import { a } from "../../host-ts/base/a.ts";')).toHaveLength(
    1,
  );
});

test("Node's modules stay in launcher/ and *-node.ts", () => {
  expect(check("host-ts/backends/file-node.ts", 'import { a } from "node:fs";')).toEqual([]);
  expect(check("host-ts/backends/file.ts", 'import { a } from "node:fs";')).toHaveLength(1);
});

test("a cycle inside a folder is a violation", () => {
  const files = new Map([
    ["host-ts/base/a.ts", 'import "./b.ts";'],
    ["host-ts/base/b.ts", 'import "./a.ts";'],
  ]);
  expect(violations(files)).toEqual([
    "cycle: host-ts/base/a.ts → host-ts/base/b.ts → host-ts/base/a.ts",
  ]);
});
