/**
 * A domain's directory in xenstore as its kernel finds it, and the requests that the Host makes through it.
 * Source: Xen's docs/misc/xenstore-paths.txt.
 */
import { XENSTORE_PAYLOAD_MAX } from "../../../abi/xen-layout.ts";
import type { ShutdownRequest } from "../../base/personality.ts";
import { latin1 } from "../../boot/fields.ts";
import { domainPath, HOST_DOMID } from "./paths.ts";
import type { Permission } from "./permissions.ts";
import type { Xenstore } from "./xenstore.ts";

/** What the directory tells of its domain. */
export interface DomainFacts {
  readonly domid: number;
  readonly name: string;
  readonly memoryKib: number;
  readonly vcpus: number;
  /** Machine frames and event channels of the two pages that every domain has. */
  readonly storeMfn: number;
  readonly storePort: number;
  readonly consoleMfn: number;
  readonly consolePort: number;
}

type Rights = [Permission, ...Permission[]];

/** Rights of what the domain reads. */
export function readableBy(domid: number): Rights {
  return [
    { domid: HOST_DOMID, access: "n" },
    { domid, access: "r" },
  ];
}

/** Rights of what is the domain's own. */
export function ownedBy(domid: number): Rights {
  return [{ domid, access: "n" }];
}

const OWN_DIRECTORIES = ["data", "drivers", "feature", "attr", "error"];
/** What a kernel answers with in its control directory. */
const OWN_CONTROLS = [
  "shutdown",
  "sysrq",
  "feature-poweroff",
  "feature-reboot",
  "feature-halt",
  "feature-suspend",
];

/** Makes the directory. Devices come with their back ends. */
export function populateDomain(store: Xenstore, facts: DomainFacts): void {
  const { domid } = facts;
  const home = domainPath(domid);
  const write = (path: string, value: string | number, rights: Rights) => {
    store.write(`${home}/${path}`, String(value));
    store.setPermissions(`${home}/${path}`, rights);
  };
  store.write(home, "");
  store.setPermissions(home, readableBy(domid));
  const read = readableBy(domid);
  // Values are bytes, and names are UTF-8 in them, as much as fits.
  const name = new TextEncoder().encode(facts.name).subarray(0, XENSTORE_PAYLOAD_MAX);
  write("name", latin1(name), read);
  write("domid", domid, read);
  write("memory/target", facts.memoryKib, read);
  write("memory/static-max", facts.memoryKib, read);
  write("store/ring-ref", facts.storeMfn, read);
  write("store/port", facts.storePort, read);
  write("console/ring-ref", facts.consoleMfn, read);
  write("console/port", facts.consolePort, read);
  write("console/type", "xenconsoled", read);
  for (let vcpu = 0; vcpu < facts.vcpus; vcpu++) write(`cpu/${vcpu}/availability`, "online", read);
  write("device", "", read);
  write("device/suspend/event-channel", "", ownedBy(domid));
  write("control", "", read);
  write("control/platform-feature-xs_reset_watches", 1, read);
  for (const key of OWN_CONTROLS) write(`control/${key}`, "", ownedBy(domid));
  for (const directory of OWN_DIRECTORIES) write(directory, "", ownedBy(domid));
}

/** Removes what a domain that is gone had, and the Host's ends of its devices. */
export function removeDomain(store: Xenstore, domid: number): void {
  store.remove(domainPath(domid));
  const backends = `${domainPath(HOST_DOMID)}/backend`;
  for (const kind of store.list(backends) ?? []) store.remove(`${backends}/${kind}/${domid}`);
}

/** Asks a domain to shut down; a kernel that listens empties the key when it begins. */
export function requestShutdown(store: Xenstore, domid: number, request: ShutdownRequest): void {
  store.write(shutdownKey(domid), request);
}

/** What a domain was asked and has not begun, "" for nothing. */
export function pendingShutdown(store: Xenstore, domid: number): string {
  return store.read(shutdownKey(domid)) ?? "";
}

/** Calls `listener` with what a domain is asked whenever that may have changed, whoever asks. @returns the function that ends it. */
export function watchShutdown(
  store: Xenstore,
  domid: number,
  listener: (request: string) => void,
): () => void {
  return store.watch(shutdownKey(domid), () => listener(pendingShutdown(store, domid)));
}

/** Takes back what a domain was asked and has not begun. */
export function withdrawShutdown(store: Xenstore, domid: number): void {
  if (pendingShutdown(store, domid) !== "") store.write(shutdownKey(domid), "");
}

/** Sends a domain's kernel the system request of a key. */
export function requestSysrq(store: Xenstore, domid: number, key: string): void {
  store.write(`${domainPath(domid)}/control/sysrq`, key);
}

function shutdownKey(domid: number): string {
  return `${domainPath(domid)}/control/shutdown`;
}
