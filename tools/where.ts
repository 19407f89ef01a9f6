/**
 * `npm run where -- LHCALL_SET_PTE`: file:line of the fact, its use in the Host, its use in the core, and the tests.
 * Tests are also found by the name without its prefix, because a test's name says "SET_PTE" where the code says LHCALL_SET_PTE.
 */
import { readSource, sourceFiles } from "./files.ts";

const name = process.argv[2];
if (!name || !/^\w+$/.test(name)) {
  console.error("usage: npm run where -- NAME   (for example LHCALL_SET_PTE)");
  process.exit(2);
}
const bare = name.replace(/^(LHCALL|KILL|EXIT|VCPU|VECTOR|EVENT|COUNTER)_/, "");
const SECTIONS: [string, string[], RegExp][] = [
  ["fact", ["abi"], new RegExp(`\\b${name}\\b`)],
  ["host", ["host-ts"], new RegExp(`\\b${name}\\b`)],
  ["core", ["core-as"], new RegExp(`\\b${name}\\b`)],
  ["guests", ["guests"], new RegExp(`\\b${name}\\b`)],
  ["tests", ["test"], new RegExp(`\\b(${name}|${bare})\\b`)],
];

let hits = 0;
for (const [title, folders, pattern] of SECTIONS) {
  for (const path of sourceFiles(folders, [".ts", ".c", ".h", ".S"])) {
    readSource(path)
      .split("\n")
      .forEach((line, index) => {
        // An import list names everything and explains nothing.
        if (!pattern.test(line) || /^\s*(import .*|\w+,)$/.test(line)) return;
        console.log(`${title.padEnd(7)} ${path}:${index + 1}  ${line.trim()}`);
        hits++;
      });
  }
}
if (hits === 0) console.error(`${name}: not found`);
process.exit(hits === 0 ? 1 : 0);
