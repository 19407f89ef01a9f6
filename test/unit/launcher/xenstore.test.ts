import { expect, test } from "vitest";
import { partOfStore, renderStore } from "../../../host-ts/launcher/xenstore.ts";

const node = (path: string, value = "", ...permissions: string[]) => ({
  ...{ path, value, permissions: permissions.length === 0 ? ["n0"] : permissions },
});
const STORE = [
  node("/"),
  node("/local"),
  node("/local/domain"),
  node("/local/domain/1", "", "n0", "r1"),
  node("/local/domain/1/name", "a guest", "n0", "r1"),
  node("/local/domain/10"),
  node("/tool", 'tab\there, "\\" and \0\xff'),
];
const plain = { hasFullPaths: false, hasPermissions: false };

test("a store is a line for each node, indented by depth, values in quotes with escapes", () => {
  expect(renderStore(STORE, plain)).toBe(`local = ""
 domain = ""
  1 = ""
   name = "a guest"
  10 = ""
tool = "tab\\there, \\"\\\\\\" and \\000\\377"
`);
});

test("full paths and rights are shown where they are asked for", () => {
  const part = partOfStore(STORE, "/local/domain/1");
  expect(renderStore(part, { hasFullPaths: true, hasPermissions: true })).toBe(
    '/local/domain/1/name = "a guest"  (n0,r1)\n',
  );
  expect(renderStore(part, plain)).toBe('name = "a guest"\n');
});

test("a node without nodes below it is shown itself, none is nothing", () => {
  const part = partOfStore(STORE, "/local/domain/1/name");
  expect(renderStore(part, plain)).toBe('name = "a guest"\n');
  expect(renderStore(partOfStore(STORE, "/nothing"), plain)).toBe("");
  expect(partOfStore(STORE, "/")).toHaveLength(STORE.length);
});
