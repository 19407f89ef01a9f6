/** What the verb `profile` does once its guest has ended: the table on standard error, and the files that were asked for. */
import { gzipSync } from "node:zlib";
import { encodePprof } from "../debug/pprof.ts";
import type { ProfileNames } from "../debug/profile-frames.ts";
import { renderProfile } from "../debug/profile-report.ts";
import { speedscopeDocument } from "../debug/speedscope.ts";
import type { SymbolTable } from "../debug/symbols.ts";
import type { Profile } from "../index.ts";
import { writeWhole } from "./files.ts";

/** What `profile` was told besides what `run` is. */
export interface ProfileOutputs {
  readonly pprofFile: string | undefined;
  readonly speedscopeFile: string | undefined;
  /** An ELF whose symbols name what runs at ring 3. */
  readonly userFile: string | undefined;
  /** Rows of the table. */
  readonly top: number;
}

/**
 * Writes the files and gives the table back.
 * @throws BackendError for a file that cannot be written
 */
export async function reportProfile(
  profile: Profile,
  kernel: SymbolTable,
  user: SymbolTable | undefined,
  outputs: ProfileOutputs,
  title: string,
): Promise<string> {
  const names: ProfileNames = { kernel, user };
  const { pprofFile, speedscopeFile, top } = outputs;
  if (pprofFile !== undefined) await writeWhole(pprofFile, gzipSync(encodePprof(profile, names)));
  if (speedscopeFile !== undefined) {
    await writeWhole(
      speedscopeFile,
      `${JSON.stringify(speedscopeDocument(profile, names, title))}\n`,
    );
  }
  return renderProfile(profile, names, top);
}
