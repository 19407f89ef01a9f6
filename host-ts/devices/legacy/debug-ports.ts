/** Ports by which test kernels speak without a driver: a console byte, a progress code, and the end with an exit code. */
import { PORT_DEBUG_CONSOLE, PORT_DEBUG_EXIT, PORT_POST, PORT_TEST_POST } from "../../../abi/pc.ts";
import { checkVersion } from "../records.ts";
import { openBus, type PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
/** The longest history of progress codes that is kept. */
const POST_CODES_MAX = 1024;

/** What the ports are joined to. */
export interface DebugPortsOptions {
  readonly print: (byte: number) => void;
  /** The guest ends itself; `code` is what its process exits with, 1 to 255 and odd. */
  readonly exit: (code: number) => void;
}

/** The ports. */
export class DebugPorts implements PortDevice {
  readonly name = "debug-ports";
  readonly isWide = true;
  readonly ports = [
    [PORT_POST, PORT_POST],
    [PORT_DEBUG_CONSOLE, PORT_DEBUG_CONSOLE],
    [PORT_DEBUG_EXIT, PORT_DEBUG_EXIT],
    [PORT_TEST_POST, PORT_TEST_POST],
  ] as const;
  readonly #options: DebugPortsOptions;
  #postCodes: number[] = [];

  constructor(options: DebugPortsOptions) {
    this.#options = options;
  }

  /** Progress codes written so far, oldest first; after 1,024 the oldest are forgotten. */
  get postCodes(): readonly number[] {
    return this.#postCodes;
  }

  /** The console port answers with its own number: that is how a guest finds it. */
  read(port: number, size: number): number {
    if (port === PORT_DEBUG_CONSOLE) return PORT_DEBUG_CONSOLE;
    if (port === PORT_DEBUG_EXIT) return 0;
    return this.#postCodes.at(-1) ?? openBus(size);
  }

  write(port: number, _size: number, value: number): void {
    if (port === PORT_DEBUG_CONSOLE) this.#options.print(value & 0xff);
    else if (port === PORT_DEBUG_EXIT) this.#options.exit(((value << 1) | 1) & 0xff);
    else {
      this.#postCodes.push(value);
      if (this.#postCodes.length > POST_CODES_MAX) this.#postCodes.shift();
    }
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, postCodes: [...this.#postCodes] };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#postCodes = [...(state.postCodes as number[])];
  }
}
