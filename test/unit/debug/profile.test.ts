import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { encodePprof } from "../../../host-ts/debug/pprof.ts";
import { nameFrames } from "../../../host-ts/debug/profile-frames.ts";
import { renderProfile } from "../../../host-ts/debug/profile-report.ts";
import { speedscopeDocument } from "../../../host-ts/debug/speedscope.ts";
import { SymbolTable } from "../../../host-ts/debug/symbols.ts";
import type { Profile } from "../../../host-ts/index.ts";

const kernel = new SymbolTable([
  { name: "_text", address: 0xc1000000, size: 0 },
  { name: "idle", address: 0xc1001000, size: 0x100 },
  { name: "schedule", address: 0xc1002000, size: 0x100 },
  { name: "_etext", address: 0xc1010000, size: 0 },
]);
const user = new SymbolTable([{ name: "main", address: 0x8048000, size: 0x40 }]);

const profile: Profile = {
  everyInstructions: 1000,
  samples: [
    { frames: [0xc1001004, 0xc1002100], cpl: 1, directory: 0x1000, count: 3 },
    { frames: [0xc1002008, 0x12345678], cpl: 1, directory: 0x1000, count: 1 },
    { frames: [0x8048010], cpl: 3, directory: 0x5000, count: 4 },
    { frames: [0xd0000000], cpl: 1, directory: 0x5000, count: 2 },
  ],
  order: Uint32Array.of(0, 0, 1, 2, 2, 2, 0, 2, 3, 3),
};

describe("the names of a sample", () => {
  const names = (index: number, table: SymbolTable | undefined = undefined) =>
    nameFrames(profile.samples[index]!, { kernel, user: table }).map(({ name }) => name);

  it("give a return address to the function that called, even when the call was its last instruction", () => {
    expect(names(0)).toEqual(["idle", "schedule"]);
  });
  it("end where a return address is garbage", () => {
    expect(names(1)).toEqual(["schedule"]);
  });
  it("of ring 3 are one per address space, or the program's", () => {
    expect(names(2)).toEqual(["[user 00005000]"]);
    expect(names(2, user)).toEqual(["main"]);
  });
  it("of kernel code without a symbol are its address", () => {
    expect(names(3)).toEqual(["[kernel d0000000]"]);
  });
});

describe("the table", () => {
  it("has a row per function, by samples, and what the callees had where there are stacks", () => {
    expect(renderProfile(profile, { kernel }, 3).split("\n").slice(1, -1)).toEqual([
      "  10 samples, one every 1,000 instructions",
      "  60.00 % kernel, 40.00 % user",
      "",
      "   percent   samples  +callees  mode    symbol",
      "   40.00 %         4   40.00 %  user    [user 00005000]",
      "   30.00 %         3   30.00 %  kernel  idle",
      "   20.00 %         2   20.00 %  kernel  [kernel d0000000]",
      "   10.00 %         1                    1 others",
    ]);
  });
  it("of no samples says so", () => {
    const none = { ...profile, samples: [], order: new Uint32Array() };
    expect(renderProfile(none, { kernel }, 3)).toContain("0 samples");
  });
});

describe("a speedscope document", () => {
  const document = (of: Profile) =>
    speedscopeDocument(of, { kernel }, "test") as {
      shared: { frames: { name: string }[] };
      profiles: { endValue: number; samples: number[][]; weights: number[] }[];
    };
  it("keeps the samples in order, outermost frame first, neighbours put together", () => {
    const { shared, profiles } = document(profile);
    const [{ samples, weights, endValue }] = profiles as [(typeof profiles)[0]];
    expect(weights).toEqual([2000, 1000, 3000, 1000, 1000, 2000]);
    expect(endValue).toBe(10_000);
    const named = samples.map((stack) => stack.map((frame) => shared.frames[frame]?.name));
    expect(named.slice(0, 3)).toEqual([["schedule", "idle"], ["schedule"], ["[user 00005000]"]]);
  });
  it("of a profile longer than its order goes by place", () => {
    const { profiles } = document({ ...profile, order: profile.order.slice(0, 5) });
    expect(profiles[0]?.weights).toEqual([3000, 1000, 4000, 2000]);
  });
});

/** Fields of a protocol-buffers message by number: varints as numbers, blocks as bytes. */
function decode(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = varint();
    const isBlock = (tag & 7) === 2;
    const content = isBlock ? bytes.subarray(at, at + value) : value;
    if (isBlock) at += value;
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), content]);
  }
  return fields;
}

describe("a pprof file", () => {
  const bytes = encodePprof(profile, { kernel, user });
  const message = decode(bytes);
  const numbers = (field: number, of: Uint8Array) => decode(of).get(field) as number[];
  const blocks = (field: number) => message.get(field) as Uint8Array[];
  const strings = blocks(6).map((text) => new TextDecoder().decode(text));

  it("counts samples and instructions per place, with the period", () => {
    expect(strings[0]).toBe("");
    expect(blocks(2).map((sample) => numbers(2, sample))).toEqual([
      [3, 3000],
      [1, 1000],
      [4, 4000],
      [2, 2000],
    ]);
    expect(message.get(12)).toEqual([1000]);
    const types = blocks(1).map((type) => [...numbers(1, type), ...numbers(2, type)]);
    expect(types.map((pair) => pair.map((index) => strings[index]))).toEqual([
      ["samples", "count"],
      ["instructions", "count"],
    ]);
  });
  it("leads from each sample by its locations to named functions", () => {
    const functions = new Map(
      blocks(5).map((each) => [numbers(1, each)[0], strings[numbers(2, each)[0]!]]),
    );
    const locations = new Map(
      blocks(4).map((each) => {
        const line = (decode(each).get(4) as Uint8Array[])[0]!;
        return [numbers(1, each)[0], functions.get(numbers(1, line)[0])];
      }),
    );
    const named = blocks(2).map((sample) => numbers(1, sample).map((id) => locations.get(id)));
    expect(named).toEqual([["idle", "schedule"], ["schedule"], ["main"], ["[kernel d0000000]"]]);
  });
  it("has addresses above 2 GiB unsigned", () => {
    expect(blocks(4).map((each) => numbers(3, each)[0])).toContain(0xc1001004);
  });
  it("is what protoc takes for a message", (context) => {
    let text: string;
    try {
      text = execFileSync("protoc", ["--decode_raw"], { input: bytes, encoding: "utf8" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      context.skip("protoc is not installed");
      return;
    }
    expect(text).toContain('6: "schedule"');
  });
});
