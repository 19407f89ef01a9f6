/**
 * Every error the embedder can see, with its stable code. A guest's mistake is never an exception: it is a named death.
 */

/** Stable codes, safe to compare against in programs. */
export type ErrorCode =
  | "HV_CONFIG"
  | "HV_IMAGE"
  | "HV_IMAGE_TRUNCATED"
  | "HV_IMAGE_UNSUPPORTED"
  | "HV_IMAGE_TOO_LARGE"
  | "HV_BACKEND"
  | "HV_BACKEND_READ_ONLY"
  | "HV_OUT_OF_MEMORY"
  | "HV_STATE"
  | "HV_IGNORED"
  | "HV_NESTED"
  | "HV_SNAPSHOT"
  | "HV_UNSUPPORTED"
  | "HV_WORKER"
  | "HV_BUG";

/** The base of all of them: `code` is stable, `message` says what happened and what to do. */
export class HypervisorError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** An option is missing, of the wrong kind, or outside its limits. */
export class ConfigError extends HypervisorError {
  constructor(message: string, options?: ErrorOptions) {
    super("HV_CONFIG", message, options);
  }
}

/** A kernel or initial RAM disk cannot be used: says which field, what was found and what was wanted. */
export class ImageError extends HypervisorError {
  constructor(message: string, code: ErrorCode = "HV_IMAGE", options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The host side of a device failed: a disk image that cannot be opened, a short read, a closed port. */
export class BackendError extends HypervisorError {
  constructor(message: string, code: ErrorCode = "HV_BACKEND", options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The shared memory of the process has no room for what was asked. */
export class OutOfMemoryError extends HypervisorError {
  constructor(message: string) {
    super("HV_OUT_OF_MEMORY", message);
  }
}

/** The call does not fit the guest's state, such as `run` on a dead guest. */
export class StateError extends HypervisorError {
  constructor(message: string) {
    super("HV_STATE", message);
  }
}

/** The guest did not do in time what it was asked for. */
export class IgnoredError extends HypervisorError {
  constructor(message: string) {
    super("HV_IGNORED", message);
  }
}

/** A snapshot or a domain's image cannot be taken or restored. */
export class SnapshotError extends HypervisorError {
  constructor(message: string, options?: ErrorOptions) {
    super("HV_SNAPSHOT", message, options);
  }
}

/** This build or platform cannot do what was asked. */
export class UnsupportedError extends HypervisorError {
  constructor(message: string, code: ErrorCode = "HV_UNSUPPORTED") {
    super(code, message);
  }
}

/** A mistake of ours: an assertion of the core or the Host failed. Please report it with the message. */
export class BugError extends HypervisorError {
  constructor(message: string, options?: ErrorOptions) {
    super("HV_BUG", message, options);
  }
}

/** Throws BugError unless `condition` holds. */
export function assertHost(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new BugError(`assertion failed: ${claim}`);
}

/** What an error looks like on its way between threads. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly name: string;
  readonly message: string;
}

const CLASSES: Record<string, (error: PlainError) => HypervisorError> = {
  ConfigError: (e) => new ConfigError(e.message),
  ImageError: (e) => new ImageError(e.message, e.code),
  BackendError: (e) => new BackendError(e.message, e.code),
  OutOfMemoryError: (e) => new OutOfMemoryError(e.message),
  StateError: (e) => new StateError(e.message),
  IgnoredError: (e) => new IgnoredError(e.message),
  SnapshotError: (e) => new SnapshotError(e.message),
  UnsupportedError: (e) => new UnsupportedError(e.message, e.code),
};

/** Makes an error plain so that it can cross a thread boundary; a foreign error becomes a bug of ours. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof HypervisorError) {
    return { code: error.code, name: error.name, message: error.message };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "HV_BUG", name: "BugError", message: text };
}

/** The inverse of toPlainError: an instance of the same class with the same code and message. */
export function fromPlainError(plain: PlainError): HypervisorError {
  return CLASSES[plain.name]?.(plain) ?? new BugError(plain.message);
}
