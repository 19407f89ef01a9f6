/**
 * The seams between the parts of the Host: types only, no logic.
 * A device knows rings, memory and its backend; a bus knows devices; a personality knows its bus; nobody reaches past a seam.
 */

// ---------------------------------------------------------------------------------------------------------------
// Guest memory
// ---------------------------------------------------------------------------------------------------------------

/**
 * Bounds-checked access to guest-physical memory: RAM and the RAM-like device pages above it. All numbers are little-endian.
 * A bad address (past the last page, or wrapping around) kills the guest with a reason; reads then give zeroes and writes
 * do nothing. A length of zero is always fine and touches nothing.
 */
export interface GuestMemory {
  /** Bytes of RAM, a multiple of 4096; device pages start here. */
  readonly ramBytes: number;
  /** Bytes of RAM plus RAM-like device pages: the first bad address. */
  readonly limitBytes: number;
  /** Copies `length` bytes out. */
  read(gpa: number, length: number): Uint8Array;
  /** Copies `target.length` bytes out into `target`. */
  readInto(gpa: number, target: Uint8Array): void;
  write(gpa: number, bytes: Uint8Array): void;
  fill(gpa: number, length: number, byte: number): void;
  readU8(gpa: number): number;
  readU16(gpa: number): number;
  readU32(gpa: number): number;
  readU64(gpa: number): bigint;
  writeU8(gpa: number, value: number): void;
  writeU16(gpa: number, value: number): void;
  writeU32(gpa: number, value: number): void;
  writeU64(gpa: number, value: bigint): void;
  /** Reads bytes up to a NUL, the end of memory or `max`, as Latin-1 text; a bad first address is a bad access. */
  readCString(gpa: number, max: number): string;
  /** Whether [gpa, gpa + length) lies inside; never kills. */
  isRange(gpa: number, length: number): boolean;
}

/** Called once per access that fails, before the zeroes are returned; "exhausted": the address is fine, but no frame is left. */
export type BadAccessHandler = (
  kind: "read" | "write" | "exhausted",
  gpa: number,
  length: number,
) => void;

// ---------------------------------------------------------------------------------------------------------------
// News from outside, time and randomness: the one door
// ---------------------------------------------------------------------------------------------------------------

/** One line of one device towards the guest's interrupt controller. */
export interface IrqPort {
  raise(): void;
  lower(): void;
}

/**
 * Something that happened outside: console bytes, a network frame, a finished block request, a window size [columns, rows], a
 * non-maskable interrupt for a vCPU [number], a request to the guest's kernel (Latin-1 text; empty takes the last one back), a
 * change of the store that it shares with the Host (path, NUL, value). An empty "console" input means that the input stream ended.
 */
export interface HostInput {
  readonly kind: "console" | "net" | "block" | "resize" | "nmi" | "request" | "xenstore";
  /** Name of the device it is for, `VirtioDevice.name`; "processor" for an NMI, "shutdown", "sysrq" or "debug" for a request, "write" or "rm" for the store. */
  readonly device: string;
  readonly data: Uint8Array | number[];
}

/** The only way host-side news gets in: the run loop stamps it and calls `device.receive` at a slice boundary. */
export interface InputSink {
  post(input: HostInput): void;
}

/** Random bytes: seeded in virtual time, real otherwise. */
export interface Entropy {
  fill(bytes: Uint8Array): void;
  /** Plain serialisable state: a restored generator goes on with the same bytes, where it has such a state. */
  save(): Record<string, unknown>;
  restore(state: Record<string, unknown>): void;
}

// ---------------------------------------------------------------------------------------------------------------
// Backends: the host side of a device
// ---------------------------------------------------------------------------------------------------------------

export interface ConsoleBackend {
  /** Bytes the guest printed. The array is the callee's to keep. */
  write(bytes: Uint8Array): void;
  /** Size of the terminal, undefined when it has none. */
  size(): { columns: number; rows: number } | undefined;
}

/** A disk of 512-byte sectors, synchronous; every method throws BackendError when the medium fails. */
export interface BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** `target.length` is a multiple of 512 and inside the disk. */
  read(sector: number, target: Uint8Array): void;
  write(sector: number, source: Uint8Array): void;
  /** Makes earlier writes durable. */
  flush(): void;
  /** The guest needs these sectors no more; whatever is read there afterwards is right. A disk without it keeps them. */
  discard?(sector: number, count: number): void;
  close(): void;
}

/** One Ethernet port. Frames carry no checksum trailer. */
export interface NetBackend {
  send(frame: Uint8Array): void;
  /** Called once; `onFrame` posts to the InputSink. */
  connect(onFrame: (frame: Uint8Array) => void): void;
  close(): void;
}

// ---------------------------------------------------------------------------------------------------------------
// Devices and buses
// ---------------------------------------------------------------------------------------------------------------

/** One request taken from a ring: the buffers the device reads, then those it writes, each as one byte sequence. */
export interface VirtqueueRequest {
  /** Index of the first descriptor, what goes into the used ring. */
  readonly head: number;
  readonly readableBytes: number;
  readonly writableBytes: number;
  /** Copies from the readable part; short when the part is. */
  read(offset: number, length: number): Uint8Array;
  /** Copies into the writable part; returns how many bytes fitted. */
  write(offset: number, bytes: Uint8Array): number;
}

/** The device's side of one ring. A ring that lies (loops, points outside) stops giving requests; it never throws. */
export interface Virtqueue {
  readonly index: number;
  readonly size: number;
  /** The next available request, undefined when there is none. */
  pop(): VirtqueueRequest | undefined;
  /** Puts a request back to be popped again, the last one popped only. */
  unpop(request: VirtqueueRequest): void;
  /** Completes a request with the number of bytes written into its writable part. */
  push(request: VirtqueueRequest, writtenBytes: number): void;
  /** Whether the driver wants an interrupt for what was pushed since the last call. */
  wantsInterrupt(): boolean;
  /** Tells the driver whether kicks on this ring are worth its while; they are until a device says otherwise. */
  wantKicks(wanted: boolean): void;
  /** A request was malformed beyond any reply: the ring is broken, with this reason, until the device is reset. */
  fail(reason: string): void;
}

/** How a device calls the driver, given to it at activation. */
export interface DeviceIrq {
  /** Used buffers are waiting. `queue` matters on a bus with one line per queue; leave it out to signal every queue in use. */
  raise(queue?: number): void;
  configChanged(): void;
}

/** A virtio device as both buses drive it. */
export interface VirtioDevice {
  /** Virtio device type: 1 net, 2 block, 3 console, 4 rng. */
  readonly id: number;
  /** Unique within the guest, for inputs, metrics and snapshots, such as "console" or "block0". */
  readonly name: string;
  /** Feature bits offered, without VERSION_1, which belongs to the bus. */
  readonly features: bigint;
  /** Largest size of each queue, a power of two. */
  readonly queueSizes: readonly number[];
  /** Length of the device configuration in bytes. */
  readonly configBytes: number;
  /** What the device counted since it was made, by name. */
  readonly metrics: Readonly<Record<string, number>>;
  readConfig(offset: number, size: number): number;
  writeConfig(offset: number, size: number, value: number): void;
  /** The driver accepted `features` and the queues are live. */
  activate(features: bigint, queues: Virtqueue[], irq: DeviceIrq): void;
  reset(): void;
  /** The driver kicked a queue. */
  notify(queue: number): void;
  /** Host-side news at a slice boundary. */
  receive(input: HostInput): void;
  /** Bytes of input that wait for the guest to take them; a device without input has none. */
  readonly pendingInputBytes?: number;
  /** Plain serialisable state. */
  save(): Record<string, unknown>;
  restore(state: Record<string, unknown>): void;
}

/** A bus takes devices before the guest starts, in the order in which the guest is to see them. */
export interface DeviceBus {
  add(device: VirtioDevice): void;
}
