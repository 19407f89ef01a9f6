/** A program under test: started, listened to, typed to, ended. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../../tools/files.ts";

/** The built launcher. */
export const MAIN = join(ROOT, "dist/host-ts/launcher/main.js");

/** How a program ended and all it printed. */
export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A program that runs. */
export interface Started {
  /** Resolves when stdout, or stderr, contains the text. */
  prints(text: string): Promise<void>;
  type(text: string): void;
  endInput(): void;
  signal(name: NodeJS.Signals): void;
  ended: Promise<Outcome>;
}

/** Starts a program in the repository's folder. */
export function start(command: string, args: string[]): Started {
  const child = spawn(command, args, { cwd: ROOT });
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  const collect = (stream: NodeJS.ReadableStream, add: (chunk: string) => void): void => {
    stream.on("data", (chunk) => {
      add(String(chunk));
      for (const watcher of watchers) watcher();
    });
  };
  collect(child.stdout, (chunk) => (stdout += chunk));
  collect(child.stderr, (chunk) => (stderr += chunk));
  child.stdin.on("error", () => undefined);
  const ended = new Promise<Outcome>((resolve) =>
    child.on("close", (code) => resolve({ code, stdout, stderr })),
  );
  return {
    ended,
    type: (text) => child.stdin.write(text),
    endInput: () => child.stdin.end(),
    signal: (name) => child.kill(name),
    prints: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!stdout.includes(text) && !stderr.includes(text)) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        void ended.then((end) =>
          reject(new Error(`ended without "${text}": ${JSON.stringify(end)}`)),
        );
        look();
      }),
  };
}
