/** What each hypercall answers to good and bad arguments, as Xen 4.17 does. A row: what, number, arguments, words at DATA, answer. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as xen from "../../../abi/xen.ts";
import { DATA, HOLE, HostDomain, XEN_AREA } from "./host-domain.ts";

const { DOMID_SELF } = xen;
const SELF_BY_NUMBER = 1;
const OTHER_DOMID = 77;
/** A page that nothing maps, and one that is mapped writable. */
const FREE = 0x3f0;
const LAST_ODD = 0x7fffffff;

type Row = readonly [string, number, readonly number[], readonly number[], number];

let guest: HostDomain;
beforeEach(() => {
  guest = new HostDomain();
});
afterEach(() => {
  guest.destroy();
});

function check([, number, args, words, answer]: Row): void {
  guest.write32(DATA, ...words);
  expect(guest.call(number, ...args)).toBe(answer);
}

describe("xen_version", () => {
  const ask = (command: number, pointer = DATA) =>
    guest.call(xen.HYPERVISOR_XEN_VERSION, command, pointer);

  test("fills its texts with NULs to their end", () => {
    for (const [command, bytes] of [
      [xen.XENVER_EXTRAVERSION, 16],
      [xen.XENVER_COMPILE_INFO, 0x90],
      [xen.XENVER_CAPABILITIES, 1024],
      [xen.XENVER_CHANGESET, 64],
      [xen.XENVER_GUEST_HANDLE, 16],
    ] as const) {
      guest.write8(DATA, ...Array.from({ length: bytes + 1 }, () => 0xff));
      expect(ask(command)).toBe(0);
      const text = guest.readText(DATA, bytes + 1);
      expect([text.at(-1), text.at(-2)]).toEqual(["\xff", "\0"]);
    }
  });

  test("says what it is and what it can", () => {
    expect(ask(xen.XENVER_VERSION)).toBe(xen.XEN_VERSION);
    ask(xen.XENVER_CAPABILITIES);
    expect(guest.readText(DATA, 17)).toBe("xen-3.0-x86_32p \0");
    ask(xen.XENVER_PLATFORM_PARAMETERS);
    expect(guest.read32(DATA) | 0).toBe(xen.HYPERVISOR_VIRT_START);
    expect(ask(xen.XENVER_COMMANDLINE)).toBe(0);
    expect(guest.readText(DATA, 9)).toBe("<denied>\0");
    expect(ask(xen.XENVER_PAGESIZE, 0)).toBe(4096);
  });

  test("has the features of a domain that translates by itself, and one more with the assist for it", () => {
    const bits = 2 ** 5 + 2 ** 6 + 2 ** 7 + 2 ** 13 + 2 ** 17;
    guest.write32(DATA, 0, 0);
    expect(ask(xen.XENVER_GET_FEATURES)).toBe(0);
    expect(guest.read32(DATA + 4)).toBe(bits);
    guest.call(xen.HYPERVISOR_VM_ASSIST, 0, xen.VMASST_TYPE_PAE_EXTENDED_CR3);
    ask(xen.XENVER_GET_FEATURES);
    expect(guest.read32(DATA + 4)).toBe(bits + 2 ** 4);
    guest.write32(DATA, 1, 0);
    expect(ask(xen.XENVER_GET_FEATURES)).toBe(-xen.XEN_EINVAL);
  });

  test("refuses", () => {
    expect(ask(xen.XENVER_PAGESIZE)).toBe(-xen.XEN_EINVAL);
    expect(ask(xen.XENVER_BUILD_ID)).toBe(-xen.XEN_EPERM);
    expect([11, 100, -1].map((command) => ask(command))).toEqual(Array(3).fill(-xen.XEN_ENOSYS));
    for (const command of [1, 2, 3, 4, 5, 6, 8, 9]) {
      expect(ask(command, HOLE)).toBe(-xen.XEN_EFAULT);
      expect(ask(command, XEN_AREA - 1)).toBe(-xen.XEN_EFAULT);
    }
  });
});

const SCHED = xen.HYPERVISOR_SCHED_OP;
// biome-ignore format: a table
const SCHED_ROWS: readonly Row[] = [
  ["yield", SCHED, [xen.SCHEDOP_YIELD], [], 0],
  ["shutdown without a reason", SCHED, [xen.SCHEDOP_SHUTDOWN, HOLE], [], -xen.XEN_EFAULT],
  ["shutdown_code without a reason", SCHED, [xen.SCHEDOP_SHUTDOWN_CODE, HOLE], [], -xen.XEN_EFAULT],
  ["poll of nothing there", SCHED, [xen.SCHEDOP_POLL, HOLE], [], -xen.XEN_EFAULT],
  ["poll of too many ports", SCHED, [xen.SCHEDOP_POLL, DATA], [HOLE, 129, 0, 0], -xen.XEN_EINVAL],
  ["poll of a list that is not mapped", SCHED, [xen.SCHEDOP_POLL, DATA], [HOLE, 1, 0, 0], -xen.XEN_EFAULT],
  ["poll of a list in Xen's area", SCHED, [xen.SCHEDOP_POLL, DATA], [XEN_AREA, 1, 0, 0], -xen.XEN_EFAULT],
  ["poll of a port that there is not", SCHED, [xen.SCHEDOP_POLL, DATA], [DATA + 16, 1, 0, 0, 64], -xen.XEN_EINVAL],
  ["remote_shutdown of the Host", SCHED, [xen.SCHEDOP_REMOTE_SHUTDOWN, DATA], [0, 0], -xen.XEN_EPERM],
  ["remote_shutdown of itself", SCHED, [xen.SCHEDOP_REMOTE_SHUTDOWN, DATA], [SELF_BY_NUMBER, 0], -xen.XEN_EPERM],
  ["remote_shutdown of nobody", SCHED, [xen.SCHEDOP_REMOTE_SHUTDOWN, DATA], [OTHER_DOMID, 0], -xen.XEN_ESRCH],
  ["remote_shutdown of DOMID_SELF", SCHED, [xen.SCHEDOP_REMOTE_SHUTDOWN, DATA], [DOMID_SELF, 0], -xen.XEN_ESRCH],
  ["remote_shutdown of nothing there", SCHED, [xen.SCHEDOP_REMOTE_SHUTDOWN, HOLE], [], -xen.XEN_EFAULT],
  ["watchdog of nothing there", SCHED, [xen.SCHEDOP_WATCHDOG, HOLE], [], -xen.XEN_EFAULT],
  ["watchdog with a number past the last", SCHED, [xen.SCHEDOP_WATCHDOG, DATA], [3, 1], -xen.XEN_EINVAL],
  ["watchdog that does not run", SCHED, [xen.SCHEDOP_WATCHDOG, DATA], [2, 1], -xen.XEN_EINVAL],
  ["pin_override", SCHED, [xen.SCHEDOP_PIN_OVERRIDE, DATA], [0], -xen.XEN_EPERM],
  ["a sub-operation that there is not", SCHED, [8, DATA], [], -xen.XEN_ENOSYS],
  ["the older form: yield", xen.HYPERVISOR_SCHED_OP_COMPAT, [xen.SCHEDOP_YIELD], [], 0],
  ["the older form: poll", xen.HYPERVISOR_SCHED_OP_COMPAT, [xen.SCHEDOP_POLL, DATA], [0, 0, 0, 0], -xen.XEN_ENOSYS],
];
describe("sched_op", () => {
  test.each(SCHED_ROWS)("%s", (...row) => check(row));

  test("shuts down for a reason of one byte, or for the one declared before", () => {
    guest.callWith(SCHED, xen.SCHEDOP_SHUTDOWN, 0x101);
    guest.call(xen.HYPERVISOR_SCHED_OP_COMPAT, xen.SCHEDOP_SHUTDOWN, 0xc0003);
    guest.callWith(SCHED, xen.SCHEDOP_SHUTDOWN_CODE, 0x204);
    guest.callWith(SCHED, xen.SCHEDOP_SHUTDOWN_CODE, 5);
    guest.callWith(SCHED, xen.SCHEDOP_SHUTDOWN, 0);
    expect(guest.shutdowns).toEqual([1, 3, 4]);
  });

  test("has two watchdogs, which are set again and stopped", () => {
    const watch = (id: number, seconds: number) =>
      guest.callWith(SCHED, xen.SCHEDOP_WATCHDOG, id, seconds);
    expect([watch(0, 5), watch(0, 9), watch(0, 1)]).toEqual([1, 2, -xen.XEN_ENOSPC]);
    expect(guest.timers.get("xen watchdog 2")).toBe(guest.nowNs + 9e9);
    guest.nowNs += 1e9;
    expect(watch(2, 3)).toBe(0);
    expect(guest.timers.get("xen watchdog 2")).toBe(guest.nowNs + 3e9);
    expect([watch(1, 0), watch(1, 0)]).toEqual([0, -xen.XEN_EINVAL]);
    expect([...guest.timers.keys()].filter((name) => name.includes("watchdog"))).toEqual([
      "xen watchdog 2",
    ]);
    guest.domain.waiting.expired("xen watchdog 2");
    expect(guest.shutdowns).toEqual([xen.SHUTDOWN_WATCHDOG]);
  });

  test("does not wait for a port that is pending, whatever comes after it in the list", () => {
    const port = guest.domain.channels.bindIpi(0);
    guest.domain.channels.raise(port);
    expect(guest.callWith(SCHED, xen.SCHEDOP_POLL, DATA + 16, 2, 0, 0, port, 9999)).toBe(0);
  });
});

describe("set_timer_op", () => {
  const set = (ns: bigint) =>
    guest.call(xen.HYPERVISOR_SET_TIMER_OP, Number(ns & 0xffffffffn), Number(ns >> 32n));
  const deadline = () => guest.timers.get("xen oneshot 0");

  test.each([
    ["ahead", 5_000_000_000n, 5_000_000_000],
    ["past", 1n, 1],
    ["13 days ahead", 2n ** 50n - 1n, 2 ** 50 - 1],
    ["further", 2n ** 50n + 1_000_000n, 101_000_000],
    ["negative", 2n ** 64n - 1n, 101_000_000],
  ])("of a time that is %s", (_, ns, expected) => {
    expect(set(ns)).toBe(0);
    expect(deadline()).toBe(expected);
  });

  test("stops with 0 what VCPUOP_set_singleshot_timer set, too", () => {
    const single = xen.VCPUOP_SET_SINGLESHOT_TIMER;
    guest.write32(DATA, 7_000_000, 0, 0);
    expect(guest.call(xen.HYPERVISOR_VCPU_OP, single, 0, DATA)).toBe(0);
    expect(deadline()).toBe(7_000_000);
    expect(set(0n)).toBe(0);
    expect(deadline()).toBeUndefined();
  });
});

const VCPU = xen.HYPERVISOR_VCPU_OP;
// biome-ignore format: a table
const VCPU_ROWS: readonly Row[] = [
  ["is_up", VCPU, [xen.VCPUOP_IS_UP, 0, 0], [], 1],
  ["a vCPU that there is not", VCPU, [xen.VCPUOP_IS_UP, 1, 0], [], -xen.XEN_ENOENT],
  ["a vCPU that there is not, of an operation that there is not", VCPU, [99, 1, 0], [], -xen.XEN_ENOENT],
  ["an operation that there is not", VCPU, [14, 0, DATA], [], -xen.XEN_ENOSYS],
  ["periodic timer, too fast", VCPU, [xen.VCPUOP_SET_PERIODIC_TIMER, 0, DATA], [999_999, 0], -xen.XEN_EINVAL],
  ["periodic timer, too slow", VCPU, [xen.VCPUOP_SET_PERIODIC_TIMER, 0, DATA], [0, 0x40000000], -xen.XEN_EINVAL],
  ["periodic timer, slowest", VCPU, [xen.VCPUOP_SET_PERIODIC_TIMER, 0, DATA], [0, 0x3fffffff], 0],
  ["periodic timer, fastest", VCPU, [xen.VCPUOP_SET_PERIODIC_TIMER, 0, DATA], [1_000_000, 0], 0],
  ["periodic timer of nothing there", VCPU, [xen.VCPUOP_SET_PERIODIC_TIMER, 0, HOLE], [], -xen.XEN_EFAULT],
  ["single-shot timer that must be ahead and is not", VCPU, [xen.VCPUOP_SET_SINGLESHOT_TIMER, 0, DATA], [1, 0, 1], 0],
  ["single-shot timer of nothing there", VCPU, [xen.VCPUOP_SET_SINGLESHOT_TIMER, 0, HOLE], [], -xen.XEN_EFAULT],
  ["runstate to nowhere", VCPU, [xen.VCPUOP_GET_RUNSTATE_INFO, 0, HOLE], [], -xen.XEN_EFAULT],
  ["runstate area in Xen's area", VCPU, [xen.VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA, 0, DATA], [XEN_AREA, 0], -xen.XEN_EFAULT],
  ["time area of nothing there", VCPU, [xen.VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA, 0, HOLE], [], -xen.XEN_EFAULT],
  ["vcpu_info across a page", VCPU, [xen.VCPUOP_REGISTER_VCPU_INFO, 0, DATA], [0x100, 0, 0xfc4, 0], -xen.XEN_ENXIO],
  ["vcpu_info that is not aligned", VCPU, [xen.VCPUOP_REGISTER_VCPU_INFO, 0, DATA], [0x100, 0, 2, 0], -xen.XEN_ENXIO],
  ["vcpu_info past 32 bits", VCPU, [xen.VCPUOP_REGISTER_VCPU_INFO, 0, DATA], [0x180, 1, 0, 0], -xen.XEN_EINVAL],
  ["send_nmi with an argument", VCPU, [xen.VCPUOP_SEND_NMI, 0, DATA], [], -xen.XEN_EINVAL],
  ["send_nmi", VCPU, [xen.VCPUOP_SEND_NMI, 0, 0], [], 0],
  ["get_physid", VCPU, [xen.VCPUOP_GET_PHYSID, 0, DATA], [], -xen.XEN_EINVAL],
];
describe("vcpu_op", () => {
  test.each(VCPU_ROWS)("%s", (...row) => check(row));
});

/** Xen's time is signed: the upper half is past. */
describe.each([
  ["negative", 2n ** 64n - 1n, 0],
  ["just negative", 2n ** 63n, 0],
  ["past the life of any run", 2n ** 62n, undefined],
  ["near", 5_000_000n, 5_000_000],
])("a deadline that is %s", (_, ns, expected) => {
  const words = [Number(ns & 0xffffffffn), Number(ns >> 32n)];

  test("of a single-shot timer", () => {
    guest.write32(DATA, ...words, 0);
    expect(guest.call(VCPU, xen.VCPUOP_SET_SINGLESHOT_TIMER, 0, DATA)).toBe(0);
    expect(guest.timers.get("xen oneshot 0")).toBe(expected);
  });

  test("of a poll", () => {
    guest.write32(DATA, DATA + 16, 0, ...words);
    expect(guest.tryCall(SCHED, xen.SCHEDOP_POLL, DATA)).toBeUndefined();
    expect(guest.timers.get("xen poll 0")).toBe(expected);
  });
});

const EVENT = xen.HYPERVISOR_EVENT_CHANNEL_OP;
// biome-ignore format: a table
const EVENT_ROWS: readonly Row[] = [
  ["alloc_unbound for itself", EVENT, [xen.EVTCHNOP_ALLOC_UNBOUND, DATA], [DOMID_SELF, 0], 0],
  ["alloc_unbound in the Host", EVENT, [xen.EVTCHNOP_ALLOC_UNBOUND, DATA], [0, 0], -xen.XEN_EPERM],
  ["alloc_unbound in nobody", EVENT, [xen.EVTCHNOP_ALLOC_UNBOUND, DATA], [OTHER_DOMID, 0], -xen.XEN_ESRCH],
  ["bind_interdomain with nobody", EVENT, [xen.EVTCHNOP_BIND_INTERDOMAIN, DATA], [OTHER_DOMID, 1, 0], -xen.XEN_ESRCH],
  ["bind_interdomain with a closed port", EVENT, [xen.EVTCHNOP_BIND_INTERDOMAIN, DATA], [DOMID_SELF, 5, 0], -xen.XEN_EINVAL],
  ["bind_virq past the last", EVENT, [xen.EVTCHNOP_BIND_VIRQ, DATA], [24, 0, 0], -xen.XEN_EINVAL],
  ["bind_virq, negative", EVENT, [xen.EVTCHNOP_BIND_VIRQ, DATA], [0xffffffff, 0, 0], -xen.XEN_EINVAL],
  ["bind_virq of the domain's to another vCPU", EVENT, [xen.EVTCHNOP_BIND_VIRQ, DATA], [xen.VIRQ_CONSOLE, 1, 0], -xen.XEN_EINVAL],
  ["bind_virq of a vCPU that there is not", EVENT, [xen.EVTCHNOP_BIND_VIRQ, DATA], [xen.VIRQ_TIMER, 1, 0], -xen.XEN_ENOENT],
  ["bind_ipi of a vCPU that there is not", EVENT, [xen.EVTCHNOP_BIND_IPI, DATA], [1, 0], -xen.XEN_ENOENT],
  ["bind_pirq of a number that there is", EVENT, [xen.EVTCHNOP_BIND_PIRQ, DATA], [55, 0, 0], -xen.XEN_EPERM],
  ["bind_pirq past the last", EVENT, [xen.EVTCHNOP_BIND_PIRQ, DATA], [56, 0, 0], -xen.XEN_EINVAL],
  ["close of a closed port", EVENT, [xen.EVTCHNOP_CLOSE, DATA], [5], -xen.XEN_EINVAL],
  ["close of port 0", EVENT, [xen.EVTCHNOP_CLOSE, DATA], [0], -xen.XEN_EINVAL],
  ["send on a closed port", EVENT, [xen.EVTCHNOP_SEND, DATA], [5], -xen.XEN_EINVAL],
  ["send on a port past all", EVENT, [xen.EVTCHNOP_SEND, DATA], [LAST_ODD], -xen.XEN_EINVAL],
  ["unmask of a closed port", EVENT, [xen.EVTCHNOP_UNMASK, DATA], [5], 0],
  ["unmask of a port that there is not", EVENT, [xen.EVTCHNOP_UNMASK, DATA], [64], -xen.XEN_EINVAL],
  ["status of a port that there is not", EVENT, [xen.EVTCHNOP_STATUS, DATA], [DOMID_SELF, 64, 0, 0, 0, 0], -xen.XEN_EINVAL],
  ["status in the Host", EVENT, [xen.EVTCHNOP_STATUS, DATA], [0, 1, 0, 0, 0, 0], -xen.XEN_EPERM],
  ["status in nobody", EVENT, [xen.EVTCHNOP_STATUS, DATA], [OTHER_DOMID, 1, 0, 0, 0, 0], -xen.XEN_ESRCH],
  ["bind_vcpu of a closed port", EVENT, [xen.EVTCHNOP_BIND_VCPU, DATA], [5, 0], -xen.XEN_EINVAL],
  ["bind_vcpu to a vCPU that there is not", EVENT, [xen.EVTCHNOP_BIND_VCPU, DATA], [5, 1], -xen.XEN_ENOENT],
  ["reset of the Host", EVENT, [xen.EVTCHNOP_RESET, DATA], [0], -xen.XEN_EPERM],
  ["reset of nobody", EVENT, [xen.EVTCHNOP_RESET, DATA], [OTHER_DOMID], -xen.XEN_ESRCH],
  ["reset", EVENT, [xen.EVTCHNOP_RESET, DATA], [SELF_BY_NUMBER], 0],
  ["reset that goes on", EVENT, [xen.EVTCHNOP_RESET_CONT, DATA], [DOMID_SELF], -xen.XEN_EBUSY],
  ["init_control of a vCPU that there is not", EVENT, [xen.EVTCHNOP_INIT_CONTROL, DATA], [0x180, 0, 0, 1, 0, 0], -xen.XEN_ENOENT],
  ["init_control past 32 bits", EVENT, [xen.EVTCHNOP_INIT_CONTROL, DATA], [0x180, 1, 0, 0, 0, 0], -xen.XEN_EINVAL],
  ["init_control of an impossible frame", EVENT, [xen.EVTCHNOP_INIT_CONTROL, DATA], [0xffffffff, 0, 0, 0, 0, 0], -xen.XEN_EINVAL],
  ["expand_array without init_control", EVENT, [xen.EVTCHNOP_EXPAND_ARRAY, DATA], [0x180, 0], -xen.XEN_EOPNOTSUPP],
  ["set_priority without init_control", EVENT, [xen.EVTCHNOP_SET_PRIORITY, DATA], [5, 0], -xen.XEN_ENOSYS],
  ["an operation that there is not", EVENT, [15, DATA], [], -xen.XEN_ENOSYS],
  ["the older form: alloc_unbound", xen.HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, [DATA], [xen.EVTCHNOP_ALLOC_UNBOUND, DOMID_SELF, 0], 0],
  ["the older form: reset", xen.HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, [DATA], [xen.EVTCHNOP_RESET, DOMID_SELF], -xen.XEN_ENOSYS],
  ["the older form of nothing there", xen.HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, [HOLE - 4], [], -xen.XEN_EFAULT],
];
describe("event_channel_op", () => {
  test.each(EVENT_ROWS)("%s", (...row) => check(row));

  test("of structures that are not there gives -EFAULT", () => {
    for (let command = 0; command <= xen.EVTCHNOP_RESET_CONT; command++) {
      expect(guest.call(EVENT, command, HOLE)).toBe(-xen.XEN_EFAULT);
    }
  });

  test("holds the page of a control block: it becomes no page table, and comes free with a reset", () => {
    const [mfn, lin] = [guest.mfnOf(FREE), FREE << 12];
    guest.write32(DATA, mfn, 0, 0, 0, 0, 0);
    expect(guest.call(EVENT, xen.EVTCHNOP_INIT_CONTROL, DATA)).toBe(0);
    expect(guest.read32(DATA + 16)).toBe(xen.EVTCHN_FIFO_LINK_BITS);
    guest.call(xen.HYPERVISOR_UPDATE_VA_MAPPING, lin, 0, 0, 2);
    const pin = () => {
      guest.write32(DATA, xen.MMUEXT_PIN_L1_TABLE, mfn, 0);
      return guest.call(xen.HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF);
    };
    expect(pin()).not.toBe(0);
    expect(guest.callWith(EVENT, xen.EVTCHNOP_RESET, DOMID_SELF)).toBe(0);
    expect(pin()).toBe(0);
  });

  test("has no queues in a domain without them", () => {
    guest.destroy();
    guest = new HostDomain({ fifo: false });
    for (const command of [11, 12, 13])
      expect(guest.call(EVENT, command, DATA)).toBe(-xen.XEN_ENOSYS);
  });
});

const PHYSDEV = xen.HYPERVISOR_PHYSDEV_OP;
// biome-ignore format: a table
const PHYSDEV_ROWS: readonly Row[] = [
  ["set_iopl", PHYSDEV, [xen.PHYSDEVOP_SET_IOPL, DATA], [3], 0],
  ["set_iopl past 3", PHYSDEV, [xen.PHYSDEVOP_SET_IOPL, DATA], [4], -xen.XEN_EINVAL],
  ["set_iobitmap", PHYSDEV, [xen.PHYSDEVOP_SET_IOBITMAP, DATA], [DATA, 65536], 0],
  ["set_iobitmap of too many ports", PHYSDEV, [xen.PHYSDEVOP_SET_IOBITMAP, DATA], [DATA, 65537], -xen.XEN_EINVAL],
  ["set_iobitmap reaching Xen's area", PHYSDEV, [xen.PHYSDEVOP_SET_IOBITMAP, DATA], [XEN_AREA - 4096, 8], -xen.XEN_EINVAL],
  ["irq_unmask_notify", PHYSDEV, [xen.PHYSDEVOP_IRQ_UNMASK_NOTIFY, 0], [], 0],
  ["irq_status_query", PHYSDEV, [xen.PHYSDEVOP_IRQ_STATUS_QUERY, DATA], [55, 0], 0],
  ["irq_status_query past the last", PHYSDEV, [xen.PHYSDEVOP_IRQ_STATUS_QUERY, DATA], [56, 0], -xen.XEN_EINVAL],
  ["eoi of an interrupt that is not bound", PHYSDEV, [xen.PHYSDEVOP_EOI, DATA], [5], -xen.XEN_EINVAL],
  ["apic_read", PHYSDEV, [xen.PHYSDEVOP_APIC_READ, DATA], [0, 0, 0], -xen.XEN_EPERM],
  ["apic_write", PHYSDEV, [xen.PHYSDEVOP_APIC_WRITE, DATA], [0, 0, 0], -xen.XEN_EPERM],
  ["alloc_irq_vector", PHYSDEV, [xen.PHYSDEVOP_ALLOC_IRQ_VECTOR, DATA], [0, 0], -xen.XEN_EPERM],
  ["map_pirq", PHYSDEV, [xen.PHYSDEVOP_MAP_PIRQ, DATA], [DOMID_SELF, 1, 0, 0, 0, 0, 0, 0, 0], -xen.XEN_EPERM],
  ["map_pirq of nobody", PHYSDEV, [xen.PHYSDEVOP_MAP_PIRQ, DATA], [OTHER_DOMID, 1, 0, 0, 0, 0, 0, 0, 0], -xen.XEN_ESRCH],
  ["map_pirq with a table", PHYSDEV, [xen.PHYSDEVOP_MAP_PIRQ, DATA], [DOMID_SELF, 4, 0, 0, 0, 0, 0, 1, 0], -xen.XEN_EINVAL],
  ["unmap_pirq", PHYSDEV, [xen.PHYSDEVOP_UNMAP_PIRQ, DATA], [DOMID_SELF, 0], -xen.XEN_EPERM],
  ["manage_pci_add", PHYSDEV, [xen.PHYSDEVOP_MANAGE_PCI_ADD, DATA], [0], -xen.XEN_EPERM],
  ["manage_pci_add_ext", PHYSDEV, [xen.PHYSDEVOP_MANAGE_PCI_ADD_EXT, DATA], [0, 1, 1, 0], -xen.XEN_EPERM],
  ["manage_pci_add_ext with bad flags", PHYSDEV, [xen.PHYSDEVOP_MANAGE_PCI_ADD_EXT, DATA], [0, 2, 0, 0], -xen.XEN_EINVAL],
  ["restore_msi", PHYSDEV, [xen.PHYSDEVOP_RESTORE_MSI, DATA], [0], -xen.XEN_ENODEV],
  ["restore_msi_ext", PHYSDEV, [xen.PHYSDEVOP_RESTORE_MSI_EXT, DATA], [0], -xen.XEN_ENODEV],
  ["setup_gsi", PHYSDEV, [xen.PHYSDEVOP_SETUP_GSI, DATA], [23, 0], -xen.XEN_EPERM],
  ["setup_gsi past the last", PHYSDEV, [xen.PHYSDEVOP_SETUP_GSI, DATA], [24, 0], -xen.XEN_EINVAL],
  ["pci_mmcfg_reserved of nothing there", PHYSDEV, [xen.PHYSDEVOP_PCI_MMCFG_RESERVED, HOLE], [], -xen.XEN_EPERM],
  ["dbgp_op of nothing there", PHYSDEV, [xen.PHYSDEVOP_DBGP_OP, HOLE], [], -xen.XEN_EPERM],
  ["prepare_msix", PHYSDEV, [xen.PHYSDEVOP_PREPARE_MSIX, DATA], [0], -xen.XEN_EPERM],
  ["pci_device_add of nothing there", PHYSDEV, [xen.PHYSDEVOP_PCI_DEVICE_ADD, HOLE], [], -xen.XEN_EFAULT],
  ["an operation that there is not", PHYSDEV, [22, DATA], [], -xen.XEN_ENOSYS],
  ["the older form: set_iopl", xen.HYPERVISOR_PHYSDEV_OP_COMPAT, [DATA], [xen.PHYSDEVOP_SET_IOPL, 4], -xen.XEN_EINVAL],
  ["the older form of nothing there", xen.HYPERVISOR_PHYSDEV_OP_COMPAT, [HOLE], [], -xen.XEN_EFAULT],
];
describe("physdev_op", () => {
  test.each(PHYSDEV_ROWS)("%s", (...row) => check(row));

  test("gives out numbers of interrupts until there are none, which may be told that they are done", () => {
    const take = (type: number) => {
      const result = guest.callWith(PHYSDEV, xen.PHYSDEVOP_GET_FREE_PIRQ, type, 0);
      return result === 0 ? guest.read32(DATA + 4) : result;
    };
    expect([take(xen.MAP_PIRQ_TYPE_GSI), take(0), take(0)]).toEqual([16, 55, 54]);
    expect(guest.callWith(PHYSDEV, xen.PHYSDEVOP_EOI, 16)).toBe(0);
    for (let i = 0; i < 37; i++) expect(take(xen.MAP_PIRQ_TYPE_GSI)).toBeGreaterThan(0);
    expect(take(xen.MAP_PIRQ_TYPE_GSI)).toBe(-xen.XEN_ENOSPC);
  });

  test("holds one page for interrupts to be done", () => {
    const set = (mfn: number) => guest.callWith(PHYSDEV, xen.PHYSDEVOP_PIRQ_EOI_GMFN_V2, mfn);
    expect(set(guest.domain.map.sharedInfoMfn)).toBe(-xen.XEN_EINVAL);
    expect(set(guest.mfnOf(FREE))).toBe(0);
    expect(set(guest.mfnOf(FREE))).toBe(-xen.XEN_EBUSY);
  });
});

const HVM = xen.HYPERVISOR_HVM_OP;
// biome-ignore format: a table
const HVM_ROWS: readonly Row[] = [
  ["set_param", HVM, [xen.HVMOP_SET_PARAM, DATA], [DOMID_SELF, 0, 0, 0], -xen.XEN_EINVAL],
  ["get_param", HVM, [xen.HVMOP_GET_PARAM, DATA], [DOMID_SELF, 1, 0, 0], -xen.XEN_EINVAL],
  ["get_param of nobody", HVM, [xen.HVMOP_GET_PARAM, DATA], [OTHER_DOMID, 1, 0, 0], -xen.XEN_ESRCH],
  ["get_param of nobody, past the last", HVM, [xen.HVMOP_GET_PARAM, DATA], [OTHER_DOMID, 39, 0, 0], -xen.XEN_EINVAL],
  ["get_param of nothing there", HVM, [xen.HVMOP_GET_PARAM, HOLE], [], -xen.XEN_EFAULT],
  ["flush_tlbs", HVM, [xen.HVMOP_FLUSH_TLBS, 0], [], -xen.XEN_EINVAL],
  ["get_mem_type of the Host", HVM, [xen.HVMOP_GET_MEM_TYPE, DATA], [0, 0, 0, 0], -xen.XEN_EPERM],
  ["get_mem_type", HVM, [xen.HVMOP_GET_MEM_TYPE, DATA], [DOMID_SELF, 0, 0, 0], -xen.XEN_EINVAL],
  ["pagetable_dying", HVM, [xen.HVMOP_PAGETABLE_DYING, DATA], [DOMID_SELF, 0, 0, 0], -xen.XEN_EINVAL],
  ["pagetable_dying of the Host", HVM, [xen.HVMOP_PAGETABLE_DYING, DATA], [0, 0, 0, 0], -xen.XEN_EOPNOTSUPP],
  ["get_time to nowhere", HVM, [xen.HVMOP_GET_TIME, HOLE], [], -xen.XEN_EFAULT],
  ["xentrace", HVM, [xen.HVMOP_XENTRACE, DATA], [0x1c0123, 0, 0, 0, 0, 0, 0, 0], 0],
  ["xentrace, too much", HVM, [xen.HVMOP_XENTRACE, DATA], [0x1d0123, 0, 0, 0, 0, 0, 0, 0], -xen.XEN_EINVAL],
  ["xentrace of an event of Xen's", HVM, [xen.HVMOP_XENTRACE, DATA], [0x1000, 0, 0, 0, 0, 0, 0, 0], -xen.XEN_EINVAL],
  ["set_evtchn_upcall_vector", HVM, [xen.HVMOP_SET_EVTCHN_UPCALL_VECTOR, DATA], [0, 0x30], -xen.XEN_EINVAL],
  ["guest_request_vm_event", HVM, [xen.HVMOP_GUEST_REQUEST_VM_EVENT, 0], [], 0],
  ["guest_request_vm_event with an argument", HVM, [xen.HVMOP_GUEST_REQUEST_VM_EVENT, DATA], [], -xen.XEN_EINVAL],
  ["altp2m", HVM, [xen.HVMOP_ALTP2M, DATA], [1, 0, 0, 0], -xen.XEN_EOPNOTSUPP],
  ["altp2m of another version", HVM, [xen.HVMOP_ALTP2M, DATA], [2, 0, 0, 0], -xen.XEN_EINVAL],
  ["set_pci_intx_level, which went to dm_op", HVM, [2, DATA], [0, 0, 0, 0], -xen.XEN_ENOSYS],
];
describe("hvm_op of a paravirtual domain", () => {
  test.each(HVM_ROWS)("%s", (...row) => check(row));

  test("tells system time", () => {
    expect(guest.call(HVM, xen.HVMOP_GET_TIME, DATA)).toBe(0);
    expect([guest.read32(DATA), guest.read32(DATA + 4)]).toEqual([guest.nowNs, 0]);
  });
});

const filled = (...words: number[]) => [...words, ...Array<number>(40 - words.length).fill(0)];
const [SYSCTL, DOMCTL, PLATFORM] = [
  xen.HYPERVISOR_SYSCTL,
  xen.HYPERVISOR_DOMCTL,
  xen.HYPERVISOR_PLATFORM_OP,
];
const DOMCTL_VERSION = xen.XEN_DOMCTL_INTERFACE_VERSION;
// biome-ignore format: a table
const DENIED_ROWS: readonly Row[] = [
  ["console_io write", xen.HYPERVISOR_CONSOLE_IO, [xen.CONSOLEIO_WRITE, 5, DATA], [], -xen.XEN_EPERM],
  ["console_io read of a negative count", xen.HYPERVISOR_CONSOLE_IO, [xen.CONSOLEIO_READ, 0x80000000, HOLE], [], -xen.XEN_EPERM],
  ["console_io of a command that there is not", xen.HYPERVISOR_CONSOLE_IO, [2, 0, 0], [], -xen.XEN_EPERM],
  ["platform_op", PLATFORM, [DATA], filled(17, xen.XENPF_INTERFACE_VERSION), -xen.XEN_EPERM],
  ["platform_op of another version", PLATFORM, [DATA], filled(17, 1), -xen.XEN_EACCES],
  ["platform_op of nothing there", PLATFORM, [HOLE], [], -xen.XEN_EFAULT],
  ["sysctl", SYSCTL, [DATA], filled(3, xen.XEN_SYSCTL_INTERFACE_VERSION), -xen.XEN_EPERM],
  ["sysctl of another version", SYSCTL, [DATA], filled(3, 1), -xen.XEN_EACCES],
  ["sysctl of nothing there", SYSCTL, [HOLE], [], -xen.XEN_EFAULT],
  ["domctl on itself", DOMCTL, [DATA], filled(5, DOMCTL_VERSION, SELF_BY_NUMBER), -xen.XEN_EPERM],
  ["domctl on the Host", DOMCTL, [DATA], filled(5, DOMCTL_VERSION, 0), -xen.XEN_EPERM],
  ["domctl on nobody", DOMCTL, [DATA], filled(5, DOMCTL_VERSION, OTHER_DOMID), -xen.XEN_ESRCH],
  ["domctl on DOMID_SELF", DOMCTL, [DATA], filled(5, DOMCTL_VERSION, DOMID_SELF), -xen.XEN_ESRCH],
  ["domctl that makes a domain", DOMCTL, [DATA], filled(1, DOMCTL_VERSION, OTHER_DOMID), -xen.XEN_EPERM],
  ["domctl of another version", DOMCTL, [DATA], filled(5, 1, OTHER_DOMID), -xen.XEN_EACCES],
  ["domctl of nothing there", DOMCTL, [HOLE], [], -xen.XEN_EFAULT],
  ["paging_domctl_cont", xen.HYPERVISOR_PAGING_DOMCTL_CONT, [DATA], filled(10, DOMCTL_VERSION, 0), -xen.XEN_EPERM],
  ["paging_domctl_cont of another command", xen.HYPERVISOR_PAGING_DOMCTL_CONT, [DATA], filled(5, DOMCTL_VERSION, 0), -xen.XEN_EOPNOTSUPP],
  ["kexec_op", xen.HYPERVISOR_KEXEC_OP, [0, HOLE], [], -xen.XEN_EPERM],
  ["hypfs_op", xen.HYPERVISOR_HYPFS_OP, [0, 0, 0, 0, 0], [], -xen.XEN_EPERM],
  ["mca", xen.HYPERVISOR_MCA, [HOLE], [], -xen.XEN_EPERM],
  ["xenpmu_op", xen.HYPERVISOR_XENPMU_OP, [4, HOLE], [], -xen.XEN_EOPNOTSUPP],
  ["xenoprof_op init", xen.HYPERVISOR_XENOPROF_OP, [0, DATA], [], -xen.XEN_ENODEV],
  ["xenoprof_op init of nothing there", xen.HYPERVISOR_XENOPROF_OP, [0, HOLE], [], -xen.XEN_EFAULT],
  ["xenoprof_op start", xen.HYPERVISOR_XENOPROF_OP, [9, 0], [], -xen.XEN_EPERM],
  ["xenoprof_op past the last", xen.HYPERVISOR_XENOPROF_OP, [18, 0], [], -xen.XEN_EINVAL],
  ["dm_op on the Host", xen.HYPERVISOR_DM_OP, [0, 1, DATA], [0, 0], -xen.XEN_EINVAL],
  ["dm_op on itself", xen.HYPERVISOR_DM_OP, [SELF_BY_NUMBER, 1, DATA], [0, 0], -xen.XEN_EPERM],
  ["dm_op on nobody", xen.HYPERVISOR_DM_OP, [OTHER_DOMID, 1, DATA], [0, 0], -xen.XEN_ESRCH],
  ["dm_op with too many buffers", xen.HYPERVISOR_DM_OP, [0, 3, DATA], [], -xen.XEN_E2BIG],
  ["dm_op with a list that is not there", xen.HYPERVISOR_DM_OP, [0, 2, HOLE], [], -xen.XEN_EFAULT],
  ["xsm_op, not built in", xen.HYPERVISOR_XSM_OP, [DATA], [], -xen.XEN_ENOSYS],
  ["argo_op, not built in", xen.HYPERVISOR_ARGO_OP, [1, 0, 0, 0, 0], [], -xen.XEN_ENOSYS],
  ["tmem_op, which is gone", xen.HYPERVISOR_TMEM_OP, [DATA], [], -xen.XEN_ENOSYS],
  ["set_segment_base, for 64 bits", 25, [0, 0], [], -xen.XEN_ENOSYS],
  ["a call that there is not", 43, [], [], -xen.XEN_ENOSYS],
  ["a call past the page of calls", 128, [], [], -xen.XEN_ENOSYS],
];
describe("a call for others", () => {
  test.each(DENIED_ROWS)("%s", (...row) => check(row));
});

const [CALLBACK, NMI, ASSIST, MMUEXT, MMU, UPDATE_VA] = [
  xen.HYPERVISOR_CALLBACK_OP,
  xen.HYPERVISOR_NMI_OP,
  xen.HYPERVISOR_VM_ASSIST,
  xen.HYPERVISOR_MMUEXT_OP,
  xen.HYPERVISOR_MMU_UPDATE,
  xen.HYPERVISOR_UPDATE_VA_MAPPING,
];
const register = (type: number) => [type, 0xe019, 0x1000];
// biome-ignore format: a table
const CORE_ROWS: readonly Row[] = [
  ["callback_op event", CALLBACK, [0, DATA], register(xen.CALLBACKTYPE_EVENT), 0],
  ["callback_op failsafe", CALLBACK, [0, DATA], register(xen.CALLBACKTYPE_FAILSAFE), 0],
  ["callback_op syscall, for 64 bits", CALLBACK, [0, DATA], register(xen.CALLBACKTYPE_SYSCALL), -xen.XEN_ENOSYS],
  ["callback_op sysenter by its old number", CALLBACK, [0, DATA], register(xen.CALLBACKTYPE_SYSENTER_DEPRECATED), -xen.XEN_ENOSYS],
  ["callback_op nmi", CALLBACK, [0, DATA], register(xen.CALLBACKTYPE_NMI), 0],
  ["callback_op unregister nmi", CALLBACK, [1, DATA], [xen.CALLBACKTYPE_NMI], 0],
  ["callback_op unregister sysenter", CALLBACK, [1, DATA], [xen.CALLBACKTYPE_SYSENTER], -xen.XEN_EINVAL],
  ["callback_op unregister what there is not", CALLBACK, [1, DATA], [6], -xen.XEN_ENOSYS],
  ["callback_op of a command that there is not", CALLBACK, [2, DATA], [0], -xen.XEN_EINVAL],
  ["callback_op of nothing there", CALLBACK, [0, HOLE - 8], [], -xen.XEN_EFAULT],
  ["nmi_op", NMI, [0, DATA], [0x1000, 0], 0],
  ["nmi_op unregister", NMI, [1, HOLE], [], 0],
  ["nmi_op of nothing there", NMI, [0, HOLE], [], -xen.XEN_EFAULT],
  ["nmi_op of a command that there is not", NMI, [2, DATA], [], -xen.XEN_ENOSYS],
  ...[0, 1, 2, 3, 4, 5].map((type): Row => [`vm_assist ${type}`, ASSIST, [0, type], [], 0]),
  ["vm_assist of a type past the last", ASSIST, [0, 6], [], -xen.XEN_EINVAL],
  ["vm_assist of 64 bits", ASSIST, [0, 32], [], -xen.XEN_EINVAL],
  ["vm_assist of a command that there is not", ASSIST, [2, 0], [], -xen.XEN_ENOSYS],
  ["vm_assist of neither", ASSIST, [2, 6], [], -xen.XEN_EINVAL],
  ["set_debugreg 4", xen.HYPERVISOR_SET_DEBUGREG, [4, 0], [], 0],
  ["set_debugreg past the last", xen.HYPERVISOR_SET_DEBUGREG, [8, 0], [], -xen.XEN_ENODEV],
  ["set_debugreg 7 with general detect", xen.HYPERVISOR_SET_DEBUGREG, [7, 0x2000], [], -xen.XEN_EPERM],
  ["set_debugreg 7 with a port", xen.HYPERVISOR_SET_DEBUGREG, [7, 0x20001], [], -xen.XEN_EPERM],
  ["get_debugreg past the last", xen.HYPERVISOR_GET_DEBUGREG, [8], [], -xen.XEN_ENODEV],
  ["set_gdt of too many entries", xen.HYPERVISOR_SET_GDT, [DATA, 7169], [], -xen.XEN_EINVAL],
  ["set_gdt of nothing there", xen.HYPERVISOR_SET_GDT, [HOLE, 1], [], -xen.XEN_EFAULT],
  ["set_trap_table of nothing there", xen.HYPERVISOR_SET_TRAP_TABLE, [HOLE], [], -xen.XEN_EFAULT],
  ["set_trap_table of none", xen.HYPERVISOR_SET_TRAP_TABLE, [0], [], 0],
  ["update_descriptor that is not aligned", xen.HYPERVISOR_UPDATE_DESCRIPTOR, [0x180004, 0, 0, 0], [], -xen.XEN_EINVAL],
  ["update_descriptor past 32 bits", xen.HYPERVISOR_UPDATE_DESCRIPTOR, [0x180000, 1, 0, 0], [], -xen.XEN_EINVAL],
  ["update_va_mapping without a table", UPDATE_VA, [0x40000000, 0, 0, 0], [], -xen.XEN_EINVAL],
  ["update_va_mapping in Xen's area", UPDATE_VA, [XEN_AREA, 0, 0, 0], [], -xen.XEN_EINVAL],
  ["update_va_mapping with a flush that there is not", UPDATE_VA, [FREE << 12, 0, 0, 3], [], 0],
  ["update_va_mapping with a set that is not there", UPDATE_VA, [FREE << 12, 0, 0, HOLE | 1], [], -xen.XEN_EFAULT],
  ["mmuext_op of nothing there", MMUEXT, [HOLE, 1, 0, DOMID_SELF], [], -xen.XEN_EFAULT],
  ["mmuext_op of no entries there", MMUEXT, [HOLE, 0, 0, DOMID_SELF], [], 0],
  ["mmuext_op of nobody", MMUEXT, [HOLE, 0, 0, OTHER_DOMID], [], -xen.XEN_ESRCH],
  ["mmuext_op of Xen", MMUEXT, [HOLE, 0, 0, xen.DOMID_XEN], [], -xen.XEN_EPERM],
  ["mmuext_op that goes on with its result", MMUEXT, [0, 0x80000000, 0, 0xffffffea], [], -22],
  ["mmuext_op flush_cache", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_FLUSH_CACHE, 0, 0], -xen.XEN_EACCES],
  ["mmuext_op flush_cache_global", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0], -xen.XEN_EINVAL],
  ["mmuext_op pin_l4", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_PIN_L4_TABLE, 0, 0], 0],
  ["mmuext_op new_user_baseptr", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_NEW_USER_BASEPTR, 0, 0], -xen.XEN_EINVAL],
  ["mmuext_op mark_super", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_MARK_SUPER, 0, 0], -xen.XEN_EOPNOTSUPP],
  ["mmuext_op flush of a set that is not there", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_TLB_FLUSH_MULTI, 0, HOLE], -xen.XEN_EINVAL],
  ["mmuext_op set_ldt of too many entries", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_SET_LDT, DATA, 8193], -xen.XEN_EINVAL],
  ["mmuext_op set_ldt that is not aligned", MMUEXT, [DATA, 1, 0, DOMID_SELF], [xen.MMUEXT_SET_LDT, DATA + 8, 1], -xen.XEN_EINVAL],
  ["mmuext_op that there is not", MMUEXT, [DATA, 1, 0, DOMID_SELF], [14, 0, 0], -xen.XEN_ENOSYS],
  ["mmu_update of nothing there", MMU, [HOLE, 1, 0, DOMID_SELF], [], -xen.XEN_EFAULT],
  ["mmu_update past 32 bits", MMU, [DATA, 1, 0, DOMID_SELF], [0x180000, 1, 0, 0], -xen.XEN_EINVAL],
  ["mmu_update of a frame that is nobody's", MMU, [DATA, 1, 0, DOMID_SELF], [0, 0, 0, 0], -xen.XEN_EINVAL],
  ["mmu_update with a count that cannot be written", MMU, [HOLE, 0, HOLE, DOMID_SELF], [], 0],
];
describe("a call that the core performs", () => {
  test.each(CORE_ROWS)("%s", (...row) => check(row));

  test("counts what it did before it failed", () => {
    const good = [xen.MMUEXT_TLB_FLUSH_LOCAL, 0, 0];
    guest.write32(DATA, ...good, ...good, xen.MMUEXT_MARK_SUPER, 0, 0, ...good);
    expect(guest.call(MMUEXT, DATA, 4, DATA + 0x100, DOMID_SELF)).toBe(-xen.XEN_EOPNOTSUPP);
    expect(guest.read32(DATA + 0x100)).toBe(2);
  });
});

describe("a call that asks for more than there is time for", () => {
  const COUNT = 0x40000000;

  test("is made again and again, and the slices between are short", () => {
    // The list ends where memory does; until there, each entry is a good one.
    const first = 0x1a0000;
    const entries = Math.floor((0x1b0000 - first) / 12);
    for (let i = 0; i < entries; i++)
      guest.write32(first + 12 * i, xen.MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    guest.call(UPDATE_VA, 0x1b0000, 0, 0, 2);
    expect(guest.call(MMUEXT, first, COUNT, DATA, DOMID_SELF)).toBe(-xen.XEN_EFAULT);
    expect(guest.read32(DATA)).toBe(entries);
    expect(guest.slices).toBeGreaterThan(entries / 32);
  });

  test("also a multicall of calls of the Host's", () => {
    const first = 0x1a0000;
    const entries = (0x1b0000 - first) / 32;
    const words = [xen.HYPERVISOR_XEN_VERSION, 0, xen.XENVER_PAGESIZE, 0, 0, 0, 0, 0];
    for (let i = 0; i < entries; i++) guest.write32(first + 32 * i, ...words);
    guest.call(UPDATE_VA, 0x1b0000, 0, 0, 2);
    expect(guest.call(xen.HYPERVISOR_MULTICALL, first, COUNT)).toBe(-xen.XEN_EFAULT);
    expect(guest.read32(first + 32 * (entries - 1) + 4)).toBe(4096);
    expect(guest.exits).toBe(entries);
  });
});

test("a multicall whose entry cannot take the Host's answer ends there, with the call made once", () => {
  const first = 0x1a0000;
  guest.write32(first, xen.HYPERVISOR_XEN_VERSION, 0xdead, xen.XENVER_PAGESIZE, 0, 0, 0, 0, 0);
  guest.call(UPDATE_VA, first, guest.mfnOf(first >>> 12) * 0x1000 + 0x61, 0, 2);
  expect(guest.call(xen.HYPERVISOR_MULTICALL, first, 1)).toBe(-xen.XEN_EFAULT);
  expect(guest.exits).toBe(1);
  expect(guest.read32(first + 4)).toBe(0xdead);
});

describe("a domain that is gone", () => {
  test("gives back what the Host held for it: places of vCPUs, of interrupts and of queues", () => {
    guest.call(UPDATE_VA, FREE << 12, 0, 0, 2);
    guest.write32(DATA, guest.mfnOf(FREE), 0, 0x40, 0);
    expect(guest.call(xen.HYPERVISOR_VCPU_OP, xen.VCPUOP_REGISTER_VCPU_INFO, 0, DATA)).toBe(0);
    guest.write32(DATA, guest.mfnOf(FREE + 1), 0);
    expect(
      guest.callWith(
        xen.HYPERVISOR_PHYSDEV_OP,
        xen.PHYSDEVOP_PIRQ_EOI_GMFN_V2,
        guest.mfnOf(FREE + 1),
        0,
      ),
    ).toBe(0);
    const control = [guest.mfnOf(FREE + 2), 0, 0, 0, 0];
    expect(
      guest.callWith(xen.HYPERVISOR_EVENT_CHANNEL_OP, xen.EVTCHNOP_INIT_CONTROL, ...control),
    ).toBe(0);
    expect(guest.relinquish()).toBe(6);
    guest.domain.destroy();
    expect(guest.relinquish()).toBe(0);
  });
});
