/** From the addresses of a profile to names: kernel symbols, a program's symbols where they are known, otherwise one name per address space. */
import type { ProfileSample } from "../guest/profiler.ts";
import type { SymbolTable } from "./symbols.ts";

/** Whose code a sample was in: ring 3 is the user's, everything inside it the kernel's. */
export type ProfileMode = "kernel" | "user";

/** One frame with its name. */
export interface NamedFrame {
  readonly name: string;
  readonly mode: ProfileMode;
  /** Linear; 0 where the name stands for a whole address space. */
  readonly address: number;
}

/** What names are taken from. */
export interface ProfileNames {
  readonly kernel: SymbolTable;
  /** Of one program: every process is taken for it where it has a symbol. */
  readonly user?: SymbolTable | undefined;
}

const USER_CPL = 3;

/** Names a sample's frames, innermost first. A return address that lies in no code is garbage, and so is what follows it. */
export function nameFrames(sample: ProfileSample, names: ProfileNames): readonly NamedFrame[] {
  const { frames, cpl, directory } = sample;
  const mode = cpl === USER_CPL ? "user" : "kernel";
  const symbols = mode === "user" ? names.user : names.kernel;
  const [innermost = 0, ...callers] = frames;
  const name = symbols?.locate(innermost)?.name;
  if (name === undefined) {
    if (mode === "user") return [{ name: `[user ${hex(directory)}]`, mode, address: 0 }];
    return [{ name: `[kernel ${hex(innermost)}]`, mode, address: innermost }];
  }
  const named: NamedFrame[] = [{ name, mode, address: innermost }];
  for (const returnTo of callers) {
    // The call is before the address that it returns to, which may belong to the next function already.
    const caller = symbols?.isCode(returnTo - 1) ? symbols.locate(returnTo - 1) : undefined;
    if (caller === undefined) break;
    named.push({ name: caller.name, mode, address: returnTo });
  }
  return named;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
