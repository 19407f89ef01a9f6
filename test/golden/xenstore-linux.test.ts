/**
 * What Linux 6.1 asked of xenstore as a domain of a real Xen 4.17 with a disk and a network card, from boot to power off: asked here again,
 * request by request, it is answered as there, and the back ends take the same steps.
 */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as layout from "../../abi/xen-layout.ts";
import { MemoryBlock } from "../../host-ts/backends/block.ts";
import { NetHub } from "../../host-ts/backends/net-hub.ts";
import { XenBlock } from "../../host-ts/devices/xen-block.ts";
import { XenNet } from "../../host-ts/devices/xen-net.ts";
import { FakeDomain } from "../unit/xen/frontends.ts";

/** One line of the record. NUL bytes became spaces in it. */
interface Line {
  readonly isRequest: boolean;
  readonly type: string;
  readonly text: string;
}

const LINES: Line[] = readFileSync(new URL("xenstore-linux.txt", import.meta.url), "latin1")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => {
    const [, direction, type, text] = /^(IN|OUT) +(\w+) \((.*?)\)?$/.exec(line)!;
    return { isRequest: direction === "IN", type: type!, text: text! };
  });

/** Keys of back ends that offer something else here than there, with their values here. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "discard-granularity": "512",
  "feature-persistent": "ENOENT",
  "feature-gso-tcpv4": "0",
  "feature-gso-tcpv6": "0",
  "feature-xdp-headroom": "ENOENT",
};

const typeNumber = (name: string) => (layout as Record<string, unknown>)[`XS_${name}`] as number;

function newDomain(): FakeDomain {
  const backend = new MemoryBlock(new Uint8Array(16384 * 512));
  const domain = new FakeDomain(new XenBlock({ name: "block0", vdev: "xvda", backend }));
  const mac = Uint8Array.of(0, 0x16, 0x3e, 0, 0, 1);
  const net = { name: "net0", index: 0, mac, backend: new NetHub().port() };
  domain.bus.add(new XenNet({ ...net, sink: { post: () => {} } }));
  domain.store.write("/local/domain/1/memory/target", "262144");
  domain.store.write("/local/domain/1/memory/static-max", "262144");
  for (const [ref, page] of [
    [8, 8],
    [522, 9],
    [523, 10],
  ] as const)
    domain.grants.grant(ref, false, page);
  for (const port of [7, 8, 9]) domain.events.unbound.add(port);
  return domain;
}

it("Linux's requests are answered as on Xen, and its watches fire as often", () => {
  const domain = newDomain();
  const { guest } = domain;
  const answers = LINES.filter((line) => !line.isRequest && line.type !== "WATCH_EVENT");
  let transaction = 0;
  for (const { type, text } of LINES.filter((line) => line.isRequest)) {
    const payload = type === "WRITE" ? text.replace(" ", "\0") : text.replaceAll(" ", "\0");
    const isInside = type !== "WATCH" && type !== "RESET_WATCHES" && type !== "TRANSACTION_START";
    const answer = guest.ask(typeNumber(type), payload, isInside ? transaction : 0);
    // Two threads of the guest's asked at once, so that an answer may stand behind the next request: the first of its type is it.
    const isAnswer = (line: Line) => line.type === type || line.type === "ERROR";
    const [expected] = answers.splice(answers.findIndex(isAnswer), 1);
    const key = /\/backend\/.*\/([^/ ]+) ?$/.exec(text)?.[1] ?? "";
    const isBackendDirectory = type === "DIRECTORY" && /backend\/v..?\/1\/\d+$/.test(text.trim());
    if (type === "TRANSACTION_START") transaction = Number.parseInt(answer, 10);
    else if (!isBackendDirectory) {
      const wanted = DIFFERENT[key] ?? expected!.text.trim();
      expect(answer.replaceAll("\0", " ").trim(), `${type} ${text}`).toBe(wanted);
    }
    if (type === "TRANSACTION_END") transaction = 0;
  }
  const events = LINES.filter((line) => line.type === "WATCH_EVENT").map((line) =>
    line.text.trim(),
  );
  expect(guest.takeEvents().sort()).toEqual(events.sort());
  expect(domain.grants.inUse).toEqual([]);
  expect(domain.events.handlers.size).toBe(0);
});
