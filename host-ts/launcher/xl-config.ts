/**
 * xl's configuration files for `wasmvisor run`: what of them means something here, what means nothing, and what cannot be had.
 * Source: xl.cfg(5).
 */
import type { ConfigError } from "../base/errors.ts";
import type { BlockOptions, NetOptions } from "../guest/options.ts";
import { type Mapped, mapDisk, mapVif } from "./xl-devices.ts";
import { errorAt, parseXlSyntax, type XlSetting, type XlValue } from "./xl-syntax.ts";

/** What a file says, as far as it means something here. */
export interface XlConfig {
  readonly name: string | undefined;
  readonly kernelFile: string | undefined;
  readonly initrdFile: string | undefined;
  readonly commandLine: string | undefined;
  readonly memoryBytes: number | undefined;
  readonly vcpus: number | undefined;
  readonly block: readonly BlockOptions[];
  readonly net: readonly NetOptions[];
  readonly onRestart: "end" | "reboot";
  /** One sentence for each setting that means nothing here. */
  readonly warnings: readonly string[];
}

const MIB = 2 ** 20;

/** Settings that ask for what there is not, unless they are empty or 0; and what to do about it. */
const REFUSED: Readonly<Record<string, string>> = {
  pci: "there are no PCI devices to give away; leave it out",
  usbdev: "there are no USB devices to give away; leave it out",
  dtdev: "there are no devices to give away; leave it out",
  vtpm: "there is no TPM; leave it out",
  p9: "there is no 9pfs; put the files on a disk image",
  rdm: "it is for devices that are given away; leave it out",
  driver_domain: "the back ends are this program; leave it out",
};

/** What xl does with a domain that ends so, and what of it there is here. */
const ENDS: Readonly<
  Record<string, { readonly allowed: readonly string[]; readonly advice: string }>
> = {
  on_poweroff: { allowed: ["destroy"], advice: 'the program ends with its guest; write "destroy"' },
  on_reboot: { allowed: ["restart", "destroy"], advice: 'write "restart" or "destroy"' },
  on_crash: {
    allowed: ["destroy", "coredump-destroy"],
    advice: 'a crash report is printed and the program ends; write "destroy"',
  },
  on_watchdog: { allowed: ["destroy"], advice: 'write "destroy"' },
  on_soft_reset: { allowed: ["soft-reset", "destroy"], advice: 'write "destroy"' },
};

/**
 * Reads a file.
 * @param file its name, for messages
 * @throws ConfigError with line and column, for what is malformed and for what cannot be had here
 */
export function parseXlConfig(file: string, text: string): XlConfig {
  return new Mapping(file, parseXlSyntax(file, text)).map();
}

class Mapping {
  readonly #file: string;
  readonly #settings: Map<string, XlSetting>;
  readonly #warnings: string[] = [];

  constructor(file: string, settings: readonly XlSetting[]) {
    this.#file = file;
    this.#settings = new Map(settings.map((setting) => [setting.name, setting]));
  }

  map(): XlConfig {
    this.#refuseOtherKinds();
    for (const [name, advice] of Object.entries(REFUSED)) {
      const setting = this.#take(name);
      if (setting !== undefined && !isEmpty(setting.value)) throw this.#refuse(setting, advice);
    }
    const config = {
      name: this.#string("name"),
      kernelFile: this.#kernel(),
      initrdFile: this.#string("ramdisk"),
      commandLine: this.#commandLine(),
      memoryBytes: this.#memory(),
      vcpus: this.#vcpus(),
      block: this.#list("disk", mapDisk),
      net: this.#list("vif", mapVif),
      onRestart: this.#ends(),
    };
    for (const { name, place } of this.#settings.values()) {
      this.#warn({ ...place }, `"${name}" has no meaning here`);
    }
    return { ...config, warnings: this.#warnings };
  }

  /** This is about PV domains. */
  #refuseOtherKinds(): void {
    const advice = 'only type = "pv" runs here';
    for (const name of ["type", "builder"]) {
      const setting = this.#take(name);
      if (setting === undefined) continue;
      const kind = this.#stringOf(setting);
      const isPv = name === "type" ? kind === "pv" : kind === "generic" || kind === "linux";
      if (!isPv) throw this.#refuse(setting, advice);
    }
    const pvh = this.#take("pvh");
    if (pvh !== undefined && !isEmpty(pvh.value)) throw this.#refuse(pvh, advice);
  }

  #kernel(): string | undefined {
    const bootloader = this.#take("bootloader");
    this.#take("bootloader_args");
    const kernel = this.#string("kernel");
    if (bootloader === undefined) return kernel;
    if (kernel === undefined) {
      const advice =
        'no program looks for a kernel in the disk; take it out and write kernel = "..."';
      throw this.#refuse(bootloader, advice);
    }
    this.#warn(bootloader.place, `"bootloader" has no meaning beside "kernel"`);
    return kernel;
  }

  /** As xl does: the command line whole, or else root and extra. */
  #commandLine(): string | undefined {
    const whole = this.#string("cmdline");
    const root = this.#take("root");
    const extra = this.#take("extra");
    if (whole !== undefined) {
      for (const setting of [root, extra]) {
        if (setting === undefined) continue;
        this.#warn(setting.place, `"${setting.name}" has no meaning beside "cmdline"`);
      }
      return whole;
    }
    const parts = [
      ...(root === undefined ? [] : [`root=${this.#stringOf(root)}`]),
      ...(extra === undefined ? [] : [this.#stringOf(extra)]),
    ];
    return parts.length === 0 ? undefined : parts.join(" ");
  }

  /** A domain has all of its memory from the start, so the two of xl's are one. */
  #memory(): number | undefined {
    const most = this.#take("maxmem");
    const memory = this.#take("memory");
    const mib = (setting: XlSetting) => this.#numberOf(setting, 1);
    if (memory === undefined) return most && mib(most) * MIB;
    if (most !== undefined) {
      if (mib(most) < mib(memory)) throw this.#refuse(most, 'it is less than "memory"');
      if (mib(most) > mib(memory)) {
        this.#warn(most.place, `"maxmem" has no meaning here: the domain has "memory" and no more`);
      }
    }
    return mib(memory) * MIB;
  }

  #vcpus(): number | undefined {
    const vcpus = this.#take("vcpus");
    const most = this.#take("maxvcpus");
    if (most === undefined) return vcpus && this.#numberOf(vcpus, 1);
    const count = this.#numberOf(most, 1);
    if (vcpus !== undefined && this.#numberOf(vcpus, 1) < count) {
      this.#warn(vcpus.place, `"vcpus" has no meaning here: all of "maxvcpus" are online`);
    }
    return count;
  }

  #ends(): "end" | "reboot" {
    let onRestart: "end" | "reboot" = "reboot";
    for (const [name, { allowed, advice }] of Object.entries(ENDS)) {
      const setting = this.#take(name);
      if (setting === undefined) continue;
      const action = this.#stringOf(setting);
      if (!allowed.includes(action)) throw this.#refuse(setting, advice);
      if (name === "on_reboot" && action === "destroy") onRestart = "end";
    }
    return onRestart;
  }

  #list<T>(name: string, map: (text: string) => Mapped<T>): T[] {
    const setting = this.#take(name);
    if (setting === undefined) return [];
    if (setting.value.kind !== "list") {
      throw errorAt(this.#file, setting.value, `"${name}" must be a list of strings: ["..."]`);
    }
    return setting.value.items.flatMap((item) => {
      if (item.kind !== "string") {
        throw errorAt(this.#file, item, `"${name}" must be a list of strings: ["..."]`);
      }
      const mapped = map(item.text);
      if ("refusal" in mapped) throw errorAt(this.#file, item, `${name}: ${mapped.refusal}`);
      for (const hint of mapped.ignored) this.#warn(item, `${name}: ${hint} has no meaning here`);
      return mapped.options === undefined ? [] : [mapped.options];
    });
  }

  #take(name: string): XlSetting | undefined {
    const setting = this.#settings.get(name);
    this.#settings.delete(name);
    return setting;
  }

  #string(name: string): string | undefined {
    const setting = this.#take(name);
    return setting && this.#stringOf(setting);
  }

  #stringOf({ name, value }: XlSetting): string {
    if (value.kind === "string") return value.text;
    throw errorAt(this.#file, value, `"${name}" must be a string in quotes`);
  }

  /** xl takes numbers in quotes, too. */
  #numberOf({ name, value }: XlSetting, min: number): number {
    const number =
      value.kind === "number"
        ? value.number
        : value.kind === "string" && /^\d{1,9}$/.test(value.text)
          ? Number(value.text)
          : Number.NaN;
    if (number >= min) return number;
    throw errorAt(this.#file, value, `"${name}" must be a number from ${min} on`);
  }

  #refuse({ name, value }: XlSetting, advice: string): ConfigError {
    const text = value.kind === "string" ? ` = "${value.text}"` : "";
    return errorAt(this.#file, value, `${name}${text} cannot be had here: ${advice}`);
  }

  #warn({ line, column }: { line: number; column: number }, what: string): void {
    this.#warnings.push(`${this.#file}:${line}:${column}: ${what}`);
  }
}

function isEmpty(value: XlValue): boolean {
  if (value.kind === "list") return value.items.length === 0;
  if (value.kind === "number") return value.number === 0;
  return value.text === "" || value.text === "0";
}
