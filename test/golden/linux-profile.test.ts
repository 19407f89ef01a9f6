/** A real Linux under the profiler: it boots and ends as it does unwatched, and its kernel's samples have names. */
import { expect, test } from "vitest";
import { parseKernelImage } from "../../host-ts/boot/image.ts";
import { nameFrames } from "../../host-ts/debug/profile-frames.ts";
import { SymbolTable } from "../../host-ts/debug/symbols.ts";
import { describeLinux, MINUTE } from "../drivers/linux-guests.ts";

describeLinux("profiled", (linux) => {
  test(
    "runs as it does unwatched, and its kernel's samples have names",
    async () => {
      const debug = { digestAtEnd: true };
      const unwatched = await linux.run("loop", { debug });
      const profile = { everyInstructions: 9973, stackDepth: 8 };
      const watched = await linux.run("loop", { debug, profile });
      expect(watched.text).toBe(unwatched.text);
      expect(watched.end.digest).toBe(unwatched.end.digest);
      expect(watched.end.stats.instructions).toBe(unwatched.end.stats.instructions);

      const kernel = new SymbolTable(parseKernelImage(linux.image).symbols());
      const samples = watched.end.profile?.samples ?? [];
      const count = (of: typeof samples) => of.reduce((sum, sample) => sum + sample.count, 0);
      const inKernel = samples.filter(({ cpl }) => cpl === 1);
      const named = inKernel.filter((sample) => nameFrames(sample, { kernel })[0]?.name[0] !== "[");
      expect(count(samples)).toBe(Math.floor(watched.end.stats.instructions / 9973));
      expect(count(inKernel)).toBeGreaterThan(1000);
      expect(count(named) / count(inKernel)).toBeGreaterThan(0.99);
    },
    MINUTE,
  );
});
