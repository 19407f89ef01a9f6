/** Hostile xenstore clients: whatever stands in the page, the Host neither throws nor hangs, and its own nodes stay as they are. */
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  XENSTORE_CONNECTION,
  XENSTORE_REQ_CONS,
  XENSTORE_REQ_PROD,
  XENSTORE_RSP_CONS,
  XENSTORE_RSP_PROD,
  XS_DIRECTORY_PART,
} from "../../abi/xen-layout.ts";
import { populateDomain } from "../../host-ts/xen/xenstore/domain.ts";
import { XenstoreRing } from "../../host-ts/xen/xenstore/ring.ts";
import { formatMessage } from "../../host-ts/xen/xenstore/wire.ts";
import { Xenstore } from "../../host-ts/xen/xenstore/xenstore.ts";
import { lonePage, StoreGuest } from "../unit/xen/xenstore-guest.ts";

function newStore(): Xenstore {
  const store = new Xenstore();
  const pages = { storeMfn: 0x100, storePort: 1, consoleMfn: 0x101, consolePort: 2 };
  populateDomain(store, { domid: 1, name: "guest", memoryKib: 1024, vcpus: 1, ...pages });
  return store;
}

const path = fc.constantFrom(
  "/",
  "data",
  "data/a",
  "data/a/b",
  "data/a/b/c",
  "name",
  "/local/domain/1/data/a",
  "@introduceDomain",
  "..",
  "//",
  "",
);
const text = fc.oneof(path, fc.constantFrom("n1", "r0", "b2", "T", "F", "0", "99999"), fc.string());
const message = fc.record({
  type: fc.oneof({ weight: 9, arbitrary: fc.nat(XS_DIRECTORY_PART) }, fc.nat(0xffffffff)),
  transactionId: fc.oneof({ weight: 5, arbitrary: fc.nat(3) }, fc.nat(0xffffffff)),
  payload: fc.oneof(
    fc.array(text, { maxLength: 4 }).map((texts) => texts.map((t) => `${t}\0`).join("")),
    fc.tuple(path, fc.string()).map(([p, value]) => `${p}\0${value}`),
    fc.string(),
  ),
});

it("any sequence of messages is answered one by one, and takes nothing from the Host", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
      const store = newStore();
      const guest = new StoreGuest(store);
      for (const { type, transactionId, payload } of messages) {
        const latin = payload.replace(/[^\0-\xff]/g, "?").slice(0, 4096);
        guest.ask(type, latin, transactionId);
      }
      expect(store.read("/local/domain/1/name")).toBe("guest");
      expect(store.list("/")).toEqual(["local"]);
      const copy = new Xenstore();
      copy.introduce(1, () => {});
      copy.restore(JSON.parse(JSON.stringify(store.save())));
      expect(copy.save()).toEqual(store.save());
    }),
    { numRuns: 400 },
  );
});

it("any bytes and indices in the page are served or break the connection", () => {
  const index = fc.oneof(fc.nat(2048), fc.constantFrom(0xffffffff, 0xfffffc00), fc.nat(0xffffffff));
  const step = fc.record({
    at: fc.nat(0x3ff),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      message.map((m) => formatMessage({ ...m, payload: "data\0x", requestId: 1 })),
    ),
    word: fc.constantFrom(
      XENSTORE_REQ_PROD,
      XENSTORE_REQ_CONS,
      XENSTORE_RSP_PROD,
      XENSTORE_RSP_CONS,
      XENSTORE_CONNECTION,
    ),
    index,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = newStore();
      const page = lonePage();
      let notified = 0;
      const event = { notify: () => notified++ };
      const ring = new XenstoreRing({ store, domid: 1, page, event });
      for (const { at, bytes, word, index } of steps) {
        page.write(at, bytes.subarray(0, 0x400 - at));
        page.writeU32(word, index);
        ring.serve();
      }
      expect(notified).toBeLessThanOrEqual(2 * steps.length);
      JSON.stringify(ring.save());
    }),
    { numRuns: 600 },
  );
});
