import { describe, expect, test } from "vitest";
import {
  DOMID_SELF,
  EVTCHN_2L_PORTS,
  EVTCHNSTAT_INTERDOMAIN,
  EVTCHNSTAT_IPI,
  EVTCHNSTAT_UNBOUND,
  VIRQ_CONSOLE,
  VIRQ_DEBUG,
  VIRQ_TIMER,
  XEN_EEXIST,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_EPERM,
  XEN_ESRCH,
} from "../../../abi/xen.ts";
import {
  SI_EVTCHN_MASK,
  SI_EVTCHN_PENDING,
  VCPU_INFO_BYTES,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
} from "../../../abi/xen-layout.ts";
import { EventChannels } from "../../../host-ts/xen/event-channels.ts";
import { FakeMemory } from "../devices/support.ts";

const DOMID = 5;

function setUp(
  domid = DOMID,
  peer: (domid: number) => EventChannels | undefined = () => undefined,
) {
  const memory = new FakeMemory(0x1000);
  const vcpuInfoGpa = (vcpu: number) => vcpu * VCPU_INFO_BYTES;
  const channels = new EventChannels({
    memory,
    domid,
    peer,
    sharedInfoGpa: 0,
    vcpus: 2,
    vcpuInfoGpa,
    holdFrame: () => true,
    releaseFrame: () => {},
  });
  return {
    memory,
    channels,
    selector: (vcpu: number) => memory.readU32(vcpuInfoGpa(vcpu) + VI_PENDING_SEL),
    upcall: (vcpu: number) => memory.readU8(vcpuInfoGpa(vcpu) + VI_UPCALL_PENDING),
  };
}

/** Domains of one machine. */
function neighbours(...domids: number[]) {
  const all = new Map<number, EventChannels>();
  return domids.map((domid) => {
    const made = setUp(domid, (other) => all.get(other));
    all.set(domid, made.channels);
    return made;
  }) as [ReturnType<typeof setUp>, ReturnType<typeof setUp>, ReturnType<typeof setUp>];
}

describe("telling a vCPU", () => {
  test("sets the pending bit, then the selector, then the upcall byte of the vCPU the port is bound to", () => {
    const { memory, channels, selector, upcall } = setUp();
    for (let i = 0; i < 40; i++) channels.bindIpi(1);
    channels.raise(37);
    expect(memory.readU32(SI_EVTCHN_PENDING + 4)).toBe(1 << 5);
    expect([selector(0), upcall(0), selector(1), upcall(1)]).toEqual([0, 0, 2, 1]);
  });

  test("a masked port is pending and tells nobody until it is unmasked", () => {
    const { memory, channels, upcall } = setUp();
    const port = channels.bindIpi(0);
    memory.writeU32(SI_EVTCHN_MASK, 1 << port);
    channels.raise(port);
    expect([channels.isPending(port), upcall(0)]).toEqual([true, 0]);
    expect(channels.unmask(port)).toBe(0);
    expect(upcall(0)).toBe(1);
    expect(memory.readU32(SI_EVTCHN_MASK)).toBe(0);
  });

  test("a port that is pending already tells nobody again", () => {
    const { memory, channels, upcall } = setUp();
    const port = channels.bindIpi(0);
    channels.raise(port);
    memory.writeU8(VI_UPCALL_PENDING, 0);
    memory.writeU32(VI_PENDING_SEL, 0);
    channels.raise(port);
    expect(upcall(0)).toBe(0);
  });
});

describe("the Host's end of a channel", () => {
  test("is gone once the guest has closed the port: it tells nobody, whatever has the number then", () => {
    const { channels } = setUp();
    const old = () => {};
    const port = channels.allocUnbound(DOMID_SELF, 0);
    expect(channels.bindToHost(port, old)).toBe(true);
    channels.notifyFromHost(port, old);
    expect(channels.isPending(port)).toBe(true);
    channels.close(port);
    expect(channels.bindIpi(1)).toBe(port);
    expect(channels.isHeldByHost(port, old)).toBe(false);
    channels.notifyFromHost(port, old);
    expect(channels.isPending(port)).toBe(false);
    channels.unbindFromHost(port, old);
    expect(channels.status(port)?.state).toBe(EVTCHNSTAT_IPI);
  });

  test("is not let go of by who had the number before", () => {
    const { channels } = setUp();
    let heard = 0;
    const [old, later] = [() => {}, () => heard++];
    const port = channels.allocUnbound(DOMID_SELF, 0);
    channels.bindToHost(port, old);
    channels.close(port);
    expect(channels.allocUnbound(DOMID_SELF, 0)).toBe(port);
    channels.bindToHost(port, later);
    channels.unbindFromHost(port, old);
    expect(channels.status(port)?.state).toBe(EVTCHNSTAT_INTERDOMAIN);
    channels.send(port);
    expect(heard).toBe(1);
    channels.notifyFromHost(port, old);
    expect(channels.isPending(port)).toBe(false);
  });

  test("of the start is gone after a restore if the guest had closed it", () => {
    const { channels } = setUp();
    const started = () => {};
    const port = channels.openToHost(started);
    const atStart = channels.save();
    channels.close(port);
    channels.bindIpi(0);
    const closed = channels.save();
    const fresh = setUp().channels;
    fresh.openToHost(started);
    fresh.restore(atStart);
    expect(fresh.isHeldByHost(port, started)).toBe(true);
    fresh.restore(closed);
    expect(fresh.isHeldByHost(port, started)).toBe(false);
  });
});

describe("binding", () => {
  test("ports are the lowest free ones from 1, and a closed one is free again and not pending", () => {
    const { channels } = setUp();
    expect([channels.bindIpi(0), channels.bindIpi(0), channels.bindIpi(1)]).toEqual([1, 2, 3]);
    channels.raise(2);
    expect(channels.close(2)).toBe(0);
    expect(channels.isPending(2)).toBe(false);
    expect(channels.close(2)).toBe(-XEN_EINVAL);
    expect(channels.allocUnbound(DOMID_SELF, 0)).toBe(2);
  });

  test("unbound ports run out at the limit, whether or not the other domain exists", () => {
    const { channels } = setUp();
    for (let port = 1; port < EVTCHN_2L_PORTS; port++)
      expect(channels.allocUnbound(DOMID_SELF, 77)).toBe(port);
    expect(channels.allocUnbound(DOMID_SELF, 77)).toBe(-XEN_ENOSPC);
    expect(channels.allocUnbound(77, 0)).toBe(-XEN_ESRCH);
    expect(channels.allocUnbound(0, 0)).toBe(-XEN_EPERM);
  });

  test("a virq is bound once, one of the domain's to vCPU 0 only", () => {
    const { channels, upcall } = setUp();
    expect(channels.bindVirq(VIRQ_TIMER, 1)).toBe(1);
    expect(channels.bindVirq(VIRQ_TIMER, 0)).toBe(2);
    expect(channels.bindVirq(VIRQ_TIMER, 1)).toBe(-XEN_EEXIST);
    expect(channels.bindVirq(VIRQ_DEBUG, 2)).toBe(-XEN_ENOENT);
    expect(channels.bindVirq(VIRQ_CONSOLE, 1)).toBe(-XEN_EINVAL);
    expect(channels.bindVirq(24, 0)).toBe(-XEN_EINVAL);
    channels.raiseVirq(VIRQ_TIMER, 1);
    expect([upcall(0), upcall(1)]).toEqual([0, 1]);
    channels.raiseVirq(VIRQ_DEBUG, 0);
    expect(upcall(0)).toBe(0);
  });

  test("who is told of a port can be changed but for IPIs and virqs of one vCPU", () => {
    const { channels, upcall } = setUp();
    const [ipi, timer, console] = [
      channels.bindIpi(0),
      channels.bindVirq(VIRQ_TIMER, 0),
      channels.bindVirq(VIRQ_CONSOLE, 0),
    ];
    expect(channels.bindVcpu(ipi, 1)).toBe(-XEN_EINVAL);
    expect(channels.bindVcpu(timer, 1)).toBe(-XEN_EINVAL);
    expect(channels.bindVcpu(console, 2)).toBe(-XEN_ENOENT);
    expect(channels.bindVcpu(console, 1)).toBe(0);
    channels.raiseVirq(VIRQ_CONSOLE);
    expect([upcall(0), upcall(1)]).toEqual([0, 1]);
  });
});

describe("the other end", () => {
  test("sending on a port of the Host's calls its handler, and the guest sees it as bound to domain 0", () => {
    const { channels } = setUp();
    let calls = 0;
    const port = channels.openToHost(() => calls++);
    expect(channels.send(port)).toBe(0);
    expect(calls).toBe(1);
    expect(channels.status(port)).toMatchObject({ state: EVTCHNSTAT_INTERDOMAIN, remoteDomid: 0 });
  });

  test("the Host takes the other end of a port left for it, and no other", () => {
    const { channels } = setUp();
    const [forHost, forOther] = [
      channels.allocUnbound(DOMID_SELF, 0),
      channels.allocUnbound(DOMID_SELF, 9),
    ];
    let calls = 0;
    expect(channels.bindToHost(forOther, () => {})).toBe(false);
    expect(channels.send(forHost)).toBe(0);
    const handler = () => calls++;
    expect(channels.bindToHost(forHost, handler)).toBe(true);
    channels.send(forHost);
    expect(calls).toBe(1);
    channels.unbindFromHost(forHost, handler);
    channels.send(forHost);
    expect(calls).toBe(1);
    expect(channels.status(forHost)?.state).toBe(EVTCHNSTAT_UNBOUND);
  });

  test("two ports of one domain: each end raises the other, and closing one leaves the other unbound", () => {
    const { channels } = setUp();
    const a = channels.allocUnbound(DOMID_SELF, DOMID_SELF);
    const b = channels.bindInterdomain(DOMID_SELF, a);
    expect(channels.isPending(b)).toBe(true);
    channels.send(b);
    expect(channels.isPending(a)).toBe(true);
    expect(channels.bindInterdomain(DOMID_SELF, a)).toBe(-XEN_EINVAL);
    channels.close(b);
    expect(channels.status(a)?.state).toBe(EVTCHNSTAT_UNBOUND);
  });

  test("a port left unbound for another domain is bound by that one alone, and each end raises the other", () => {
    const [a, b, c] = neighbours(1, 2, 3);
    const theirs = a.channels.allocUnbound(DOMID_SELF, 2);
    expect(c.channels.bindInterdomain(1, theirs)).toBe(-XEN_EINVAL);
    expect(b.channels.bindInterdomain(7, theirs)).toBe(-XEN_ESRCH);
    expect(b.channels.bindInterdomain(1, theirs + 1)).toBe(-XEN_EINVAL);
    b.channels.bindIpi(0);
    const port = b.channels.bindInterdomain(1, theirs);
    expect([port, b.channels.isPending(port)]).toEqual([2, true]);
    expect(a.channels.isPending(theirs)).toBe(false);
    expect(b.channels.send(port)).toBe(0);
    expect(a.channels.isPending(theirs)).toBe(true);
    expect(a.channels.status(theirs)).toMatchObject({
      state: EVTCHNSTAT_INTERDOMAIN,
      remoteDomid: 2,
      remotePort: port,
    });
    expect(c.channels.bindInterdomain(1, theirs)).toBe(-XEN_EINVAL);
  });

  test("closing one end, or the end of its domain, leaves the other unbound for whoever had it", () => {
    const [a, b] = neighbours(1, 2);
    const ports = [0, 1].map(() => a.channels.allocUnbound(DOMID_SELF, 2));
    const bound = ports.map((port) => b.channels.bindInterdomain(1, port));
    const unbound = { state: EVTCHNSTAT_UNBOUND, remoteDomid: 1, remotePort: 0 };
    a.channels.close(ports[0]!);
    expect(b.channels.status(bound[0]!)).toMatchObject(unbound);
    expect(b.channels.send(bound[0]!)).toBe(0);
    a.channels.closeAll();
    expect(b.channels.status(bound[1]!)).toMatchObject(unbound);
  });

  test("who names another domain is refused: -EPERM for one that is there, -ESRCH for one that is not", () => {
    const [a] = neighbours(1, 2);
    expect([0, 2, 3].map((domid) => a.channels.allocUnbound(domid, 1))).toEqual([
      -XEN_EPERM,
      -XEN_EPERM,
      -XEN_ESRCH,
    ]);
    expect([2, 3].map((domid) => a.channels.reset(domid))).toEqual([-XEN_EPERM, -XEN_ESRCH]);
  });

  test("saved bindings are restored", () => {
    const { channels } = setUp();
    channels.allocUnbound(DOMID_SELF, 0);
    channels.bindVirq(VIRQ_TIMER, 1);
    const other = setUp().channels;
    other.restore(channels.save());
    expect([1, 2, 3].map((port) => other.status(port))).toEqual(
      [1, 2, 3].map((port) => channels.status(port)),
    );
  });
});
