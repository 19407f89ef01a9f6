/**
 * A raw disk image in a file (Node). Synchronous on purpose: a guest runs in its own thread, and a request completes before
 * the kick returns, so that the guest sees the same order on every run.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { SECTOR_BYTES } from "../../abi/virtio.ts";
import { BackendError } from "../base/errors.ts";
import type { BlockBackend } from "../base/ports.ts";
import { checkOnDisk } from "./block.ts";

/** A raw image file; a part sector at its end is not part of the disk. */
export class FileBlock implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  #path: string;
  #file: number | undefined;

  /**
   * Opens the image, for reading only when `readOnly`. Throws BackendError when it cannot be opened or is not an image, and
   * leaves nothing open then.
   */
  constructor(path: string, readOnly: boolean) {
    this.#path = path;
    this.readOnly = readOnly;
    let file: number | undefined;
    try {
      file = openSync(path, readOnly ? "r" : "r+");
      const stat = fstatSync(file);
      if (!stat.isFile()) throw new BackendError(`disk image ${path} is not a regular file`);
      this.sectors = Math.floor(stat.size / SECTOR_BYTES);
      if (this.sectors === 0)
        throw new BackendError(`disk image ${path} is shorter than 512 bytes`);
      this.#file = file;
    } catch (cause) {
      if (file !== undefined) closeSync(file);
      if (cause instanceof BackendError) throw cause;
      throw new BackendError(`cannot open disk image ${path}: ${messageOf(cause)}`, "HV_BACKEND", {
        cause,
      });
    }
  }

  read(sector: number, target: Uint8Array): void {
    checkOnDisk(this, sector, target.length);
    this.#try("read", (file) => {
      for (let done = 0; done < target.length; ) {
        const at = sector * SECTOR_BYTES + done;
        const count = readSync(file, target, done, target.length - done, at);
        if (count === 0) throw new Error("the file became shorter");
        done += count;
      }
    });
  }

  write(sector: number, source: Uint8Array): void {
    if (this.readOnly) throw new BackendError("the disk is read-only", "HV_BACKEND_READ_ONLY");
    checkOnDisk(this, sector, source.length);
    this.#try("write", (file) => {
      for (let done = 0; done < source.length; ) {
        const at = sector * SECTOR_BYTES + done;
        done += writeSync(file, source, done, source.length - done, at);
      }
    });
  }

  flush(): void {
    if (!this.readOnly) this.#try("flush", (file) => fdatasyncSync(file));
  }

  /** Makes writes durable and closes the file; later calls throw BackendError, a second close does nothing. */
  close(): void {
    if (this.#file === undefined) return;
    const file = this.#file;
    try {
      this.flush();
    } finally {
      this.#file = undefined;
      closeSync(file);
    }
  }

  #try(what: string, act: (file: number) => void): void {
    if (this.#file === undefined) throw new BackendError(`disk image ${this.#path} is closed`);
    try {
      act(this.#file);
    } catch (cause) {
      throw new BackendError(
        `cannot ${what} disk image ${this.#path}: ${messageOf(cause)}`,
        "HV_BACKEND",
        { cause },
      );
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
