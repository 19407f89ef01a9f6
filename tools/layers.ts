/**
 * The layering law (docs: CONTRIBUTING, "The layer law"): a folder imports only folders to its left, siblings never each
 * other, no cycles between files; core-as never imports host-ts, host-ts reaches core-as only through base/core*, and Node's
 * own modules are imported only by launcher/ and by files named *-node.ts. Exit code 1 lists every violation.
 */
import { dirname, join } from "node:path/posix";
import { readSource, sourceFiles } from "./files.ts";

/** Left to right; folders in one entry are siblings. A file directly under the tree's root counts by its own name. */
const LAYERS: Record<string, string[][]> = {
  abi: [["abi"]],
  "core-as": [
    ["layout"],
    ["state"],
    ["mmu"],
    ["protect"],
    ["decode"],
    ["exec"],
    ["jit"],
    ["xen"],
    ["switcher"],
    ["index"],
  ],
  "host-ts": [
    ["base"],
    ["boot", "backends"],
    ["devices"],
    ["lguest", "xen", "bare"],
    ["guest"],
    ["state", "debug"],
    ["index", "worker-node"],
    ["launcher", "web"],
  ],
};

/** Which other trees a tree may import. */
const TREES: Record<string, string[]> = {
  abi: [],
  "core-as": ["abi"],
  "host-ts": ["abi", "core-as"],
};

interface Place {
  tree: string;
  folder: string;
  rank: number;
}

function placeOf(path: string): Place {
  const [tree = "", second = ""] = path.split("/");
  const folder = tree === "abi" ? "abi" : second.replace(/\.ts$/, "");
  const rank = LAYERS[tree]?.findIndex((layer) => layer.includes(folder)) ?? -1;
  return { tree, folder, rank };
}

/** @returns the module specifiers that a source text imports, re-exports or loads dynamically. */
export function importsOf(text: string): string[] {
  const pattern =
    /(?:^|[\s;}])(?:import|export)\s[^;"']*?from\s*["']([^"']+)["']|import\s*\(?\s*["']([^"']+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? "");
}

/** @returns one sentence per violation among `files`, path → source text. */
export function violations(files: Map<string, string>): string[] {
  const found: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of files) {
    const from = placeOf(path);
    if (from.rank < 0)
      found.push(`${path}: ${from.tree}/${from.folder} has no place in the layering`);
    const edges: string[] = [];
    for (const specifier of importsOf(text)) {
      if (specifier.startsWith("node:")) {
        const allowed = from.folder === "launcher" || path.endsWith("-node.ts");
        if (!allowed) found.push(`${path}: ${specifier} belongs in launcher/ or a *-node.ts file`);
      }
      if (!specifier.startsWith(".")) continue;
      const target = join(dirname(path), specifier);
      const to = placeOf(target);
      edges.push(target);
      if (to.tree !== from.tree) {
        const throughCore = to.tree !== "core-as" || /^host-ts\/base\/core[^/]*\.ts$/.test(path);
        if (!TREES[from.tree]?.includes(to.tree) || !throughCore) {
          found.push(`${path}: must not import ${target}`);
        }
      } else if (to.folder !== from.folder && to.rank >= from.rank) {
        found.push(`${path}: ${from.folder} may not import ${to.folder} (${target})`);
      }
    }
    graph.set(path, edges);
  }
  return [...found, ...cycles(graph)];
}

function cycles(graph: Map<string, string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push(`cycle: ${[...trail.slice(at), path].join(" → ")}`);
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

if (process.argv[1]?.endsWith("layers.ts")) {
  const files = new Map(sourceFiles(Object.keys(LAYERS)).map((path) => [path, readSource(path)]));
  const found = violations(files);
  for (const line of found) console.error(line);
  console.log(`layers: ${files.size} files, ${found.length} violations`);
  process.exit(found.length === 0 ? 0 : 1);
}
