/**
 * The xenbus: brings the back ends of split drivers together with the front ends in the guest, by the states that both write into
 * xenstore. A front end may go and come back as often as it likes.
 *
 * Source: Xen's public io/xenbus.h, docs/misc/xenstore-paths.txt, and the handshakes described in io/blkif.h and io/netif.h.
 */
import {
  XENBUS_STATE_CLOSED,
  XENBUS_STATE_CLOSING,
  XENBUS_STATE_CONNECTED,
  XENBUS_STATE_INIT_WAIT,
  XENBUS_STATE_INITIALISED,
  XENBUS_STATE_INITIALISING,
  XENBUS_STATE_UNKNOWN,
} from "../../abi/xen-layout.ts";
import type { HostInput } from "../base/ports.ts";
import {
  type EventPort,
  type FrontendLink,
  type GrantAccess,
  type GrantedPage,
  PageSpan,
  type SharedPage,
  type SplitDevice,
} from "../devices/xen-ports.ts";
import { parseKey } from "../devices/xen-ring.ts";
import { readableBy } from "./xenstore/domain.ts";
import { domainPath, HOST_DOMID } from "./xenstore/paths.ts";
import type { Permission } from "./xenstore/permissions.ts";
import type { Xenstore } from "./xenstore/xenstore.ts";

/** The Host's ends of the domain's event channels. */
export interface HostEvents {
  /** Takes the other end of a port that the guest left unbound for the Host; `handler` is called when the guest sends. */
  bindToHost(port: number, handler: () => void): boolean;
  /** Lets go of the end that was taken with `handler`, if the guest has not closed the port since. */
  unbindFromHost(port: number, handler: () => void): void;
  isHeldByHost(port: number, handler: () => void): boolean;
  /** After a restore: what to do for a port that is bound. */
  attachHandler(port: number, handler: () => void): void;
  /** Tells the guest by the end that was taken with `handler`. */
  notifyFromHost(port: number, handler: () => void): void;
}

/** What the bus works with. */
export interface XenbusOptions {
  readonly store: Xenstore;
  readonly domid: number;
  readonly grants: GrantAccess;
  readonly events: HostEvents;
}

/** A link as plain data: what the front end had written when it was made, and what it holds. */
interface LinkRecord {
  readonly keys: [string, string][];
  /** Pages of each ring. */
  readonly rings: [ref: number, gpa: number][][];
  /** Ports that the guest has closed since. */
  readonly lostPorts: number[];
}

/** See the file header. */
export class Xenbus {
  readonly #options: XenbusOptions;
  readonly #backends: Backend[] = [];

  constructor(options: XenbusOptions) {
    this.#options = options;
  }

  /** Makes both directories of a device, before the guest starts. */
  add(device: SplitDevice): void {
    this.#backends.push(new Backend(this.#options, device));
  }

  /** The domain is gone: every device lets go of it. */
  close(): void {
    for (const backend of this.#backends) backend.close();
  }

  /** Host-side news for one of the devices. */
  receive(input: HostInput): void {
    for (const { device } of this.#backends)
      if (device.name === input.device) device.receive(input);
  }

  /** Counters of the devices, by name. */
  get metrics(): Record<string, Readonly<Record<string, number>>> {
    return Object.fromEntries(
      this.#backends.map(({ device }) => [device.name, { ...device.metrics }]),
    );
  }

  /** Serialisable state besides the store's. */
  save(): Record<string, unknown> {
    return Object.fromEntries(
      this.#backends.map((backend) => [backend.device.name, backend.save()]),
    );
  }

  /** Continues from saved state; store, grants, event channels and memory have been restored before. */
  restore(state: Record<string, unknown>): void {
    for (const backend of this.#backends) {
      const saved = state[backend.device.name];
      if (saved !== undefined) backend.restore(saved as ReturnType<Backend["save"]>);
    }
  }
}

/** One device on the bus. */
class Backend {
  readonly device: SplitDevice;
  readonly #options: XenbusOptions;
  readonly #frontPath: string;
  readonly #backPath: string;
  readonly #unwatch: () => void;
  #state = XENBUS_STATE_INIT_WAIT;
  #link: Link | undefined;

  constructor(options: XenbusOptions, device: SplitDevice) {
    this.#options = options;
    this.device = device;
    const { store, domid } = options;
    this.#frontPath = `${domainPath(domid)}/device/${device.kind}/${device.id}`;
    this.#backPath = `${domainPath(HOST_DOMID)}/backend/${device.kind}/${domid}/${device.id}`;
    const frontRights: [Permission, Permission] = [
      { domid, access: "n" },
      { domid: HOST_DOMID, access: "r" },
    ];
    fill(store, this.#backPath, readableBy(domid), {
      frontend: this.#frontPath,
      "frontend-id": String(domid),
      online: "1",
      state: String(this.#state),
      ...device.backendKeys,
    });
    fill(store, this.#frontPath, frontRights, {
      backend: this.#backPath,
      "backend-id": String(HOST_DOMID),
      trusted: "1",
      state: String(XENBUS_STATE_INITIALISING),
      ...device.frontendKeys,
    });
    this.#unwatch = store.watch(`${this.#frontPath}/state`, () => this.#follow());
  }

  close(): void {
    this.#unwatch();
    this.#disconnect();
  }

  save() {
    return { state: this.#state, link: this.#link?.save(), device: this.device.save() };
  }

  restore(saved: ReturnType<Backend["save"]>): void {
    this.#state = saved.state;
    this.device.disconnect();
    this.#link = saved.link && new Link(this.#options, this.#frontPath, saved.link);
    if (this.#link === undefined) return;
    this.device.connect(this.#link);
    this.device.restore(saved.device);
  }

  /** The front end may have changed its state. */
  #follow(): void {
    const text = this.#options.store.read(`${this.#frontPath}/state`);
    switch (parseKey(text) ?? XENBUS_STATE_UNKNOWN) {
      case XENBUS_STATE_INITIALISING:
        this.#disconnect();
        this.#become(XENBUS_STATE_INIT_WAIT);
        break;
      case XENBUS_STATE_INITIALISED:
      case XENBUS_STATE_CONNECTED:
        this.#connect();
        break;
      case XENBUS_STATE_CLOSING:
        this.#disconnect();
        this.#become(XENBUS_STATE_CLOSING);
        break;
      case XENBUS_STATE_CLOSED:
      case XENBUS_STATE_UNKNOWN:
        this.#disconnect();
        this.#become(XENBUS_STATE_CLOSED);
    }
  }

  #connect(): void {
    if (this.#link !== undefined) return;
    const { store } = this.#options;
    const link = new Link(this.#options, this.#frontPath);
    this.#link = link;
    const refusal = this.device.connect(link);
    if (refusal !== undefined) {
      this.#disconnect();
      const where = this.#backPath.slice(domainPath(HOST_DOMID).length);
      store.write(`${domainPath(HOST_DOMID)}/error${where}/error`, refusal);
      this.#become(XENBUS_STATE_CLOSING);
      return;
    }
    fill(store, this.#backPath, readableBy(this.#options.domid), this.device.connectionKeys);
    this.#become(XENBUS_STATE_CONNECTED);
    // What the guest sent before there was anybody to hear it is not lost.
    link.hear();
  }

  #disconnect(): void {
    this.device.disconnect();
    this.#link?.close();
    this.#link = undefined;
  }

  #become(state: number): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.store.write(`${this.#backPath}/state`, String(state));
  }
}

/** What one connection holds, and how it is made again from a saved state without asking the guest. */
class Link implements FrontendLink {
  readonly grants: GrantAccess;
  readonly #options: XenbusOptions;
  readonly #frontPath: string;
  readonly #saved: LinkRecord | undefined;
  readonly #keys = new Map<string, string>();
  readonly #rings: { ref: number; page: GrantedPage }[][] = [];
  readonly #ports = new Map<number, () => void>();

  constructor(options: XenbusOptions, frontPath: string, saved?: LinkRecord) {
    this.#options = options;
    this.grants = options.grants;
    this.#frontPath = frontPath;
    this.#saved = saved;
    for (const [name, value] of saved?.keys ?? []) this.#keys.set(name, value);
  }

  key(name: string): string | undefined {
    if (this.#saved !== undefined) return this.#keys.get(name);
    const value = this.#options.store.read(`${this.#frontPath}/${name}`);
    if (value !== undefined) this.#keys.set(name, value);
    return value;
  }

  mapRing(refs: readonly number[]): SharedPage | undefined {
    const saved = this.#saved?.rings[this.#rings.length];
    const ring: { ref: number; page: GrantedPage }[] = [];
    this.#rings.push(ring);
    for (const [i, ref] of refs.entries()) {
      const gpa = saved?.[i]?.[1];
      const page =
        gpa === undefined ? this.grants.map(ref, true) : this.grants.adopt(ref, true, gpa);
      if (page === undefined) return undefined;
      ring.push({ ref, page });
    }
    return new PageSpan(ring.map(({ page }) => page));
  }

  bindPort(port: number, onEvent: () => void): EventPort | undefined {
    const { events } = this.#options;
    if (this.#saved !== undefined) {
      if (!this.#saved.lostPorts.includes(port)) events.attachHandler(port, onEvent);
    } else if (!events.bindToHost(port, onEvent)) return undefined;
    this.#ports.set(port, onEvent);
    return { notify: () => events.notifyFromHost(port, onEvent) };
  }

  /** Serves every port once. */
  hear(): void {
    for (const onEvent of this.#ports.values()) onEvent();
  }

  close(): void {
    for (const { page } of this.#rings.flat()) page.release();
    for (const [port, onEvent] of this.#ports) this.#options.events.unbindFromHost(port, onEvent);
  }

  save(): LinkRecord {
    return {
      keys: [...this.#keys],
      rings: this.#rings.map((ring) =>
        ring.map(({ ref, page }): [number, number] => [ref, page.gpa]),
      ),
      lostPorts: [...this.#ports]
        .filter(([port, onEvent]) => !this.#options.events.isHeldByHost(port, onEvent))
        .map(([port]) => port),
    };
  }
}

/** Writes keys into a directory with one set of rights for all. */
function fill(
  store: Xenstore,
  directory: string,
  rights: readonly [Permission, ...Permission[]],
  keys: Readonly<Record<string, string>>,
): void {
  store.write(directory, store.read(directory) ?? "");
  store.setPermissions(directory, rights);
  for (const [key, value] of Object.entries(keys)) {
    store.write(`${directory}/${key}`, value);
    store.setPermissions(`${directory}/${key}`, rights);
  }
}
