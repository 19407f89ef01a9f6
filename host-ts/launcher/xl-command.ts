/** A configuration file of xl's joined with the command line: what the command line says goes before. */
import { ConfigError } from "../base/errors.ts";
import { readWhole } from "./files.ts";
import type { RunCommand } from "./usage.ts";
import { parseXlConfig } from "./xl-config.ts";

/**
 * Reads the configuration file that a command names, if it names one.
 * @param warn takes a sentence for what the file says in vain
 * @throws BackendError for a file that cannot be read, ConfigError for what is wrong in it
 */
export async function withConfigFile(
  command: RunCommand,
  warn: (text: string) => void,
): Promise<RunCommand> {
  const { configFile, options } = command;
  if (configFile === undefined) return command;
  if (options.abi !== undefined && options.abi !== "xen-pv") {
    throw new ConfigError(
      `${configFile} describes a Xen guest, and --abi is ${options.abi}; leave one of them out`,
    );
  }
  const bytes = await readWhole("configuration", configFile);
  const config = parseXlConfig(configFile, new TextDecoder("latin1").decode(bytes));
  if (config.warnings.length > 0) warn(config.warnings.join("\n"));
  const kernelFile = command.kernelFile ?? config.kernelFile;
  if (kernelFile === undefined) {
    throw new ConfigError(`${configFile}: "kernel" is missing; set it, or say --kernel FILE`);
  }
  return {
    ...command,
    kernelFile,
    initrdFile: command.initrdFile ?? config.initrdFile,
    options: {
      ...options,
      abi: "xen-pv",
      name: config.name,
      commandLine: options.commandLine ?? config.commandLine,
      memoryBytes: options.memoryBytes ?? config.memoryBytes,
      vcpus: options.vcpus ?? config.vcpus,
      block: options.block?.length ? options.block : config.block,
      net: options.net?.length ? options.net : config.net,
      onRestart: options.onRestart === "reboot" ? "reboot" : config.onRestart,
    },
  };
}
