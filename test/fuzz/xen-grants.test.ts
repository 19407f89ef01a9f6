/**
 * Random grant operations between two domains against a model of who uses what: statuses, marks in the tables and contents agree after
 * every step, and whoever dies first, no reference and no frame is left.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { VCPU_CR3 } from "../../abi/vcpu.ts";
import {
  DOMID_SELF,
  GNTCOPY_DEST_GREF,
  GNTCOPY_SOURCE_GREF,
  GNTMAP_CONTAINS_PTE,
  GNTMAP_DEVICE_MAP,
  GNTMAP_HOST_MAP,
  GNTMAP_READONLY,
  GNTST_OKAY,
  GNTTABOP_COPY,
  GNTTABOP_MAP_GRANT_REF,
  GNTTABOP_SET_VERSION,
  GNTTABOP_SWAP_GRANT_REF,
  GNTTABOP_TRANSFER,
  GNTTABOP_UNMAP_AND_REPLACE,
  GNTTABOP_UNMAP_GRANT_REF,
  GTF_ACCEPT_TRANSFER,
  GTF_PERMIT_ACCESS,
  GTF_READING,
  GTF_READONLY,
  GTF_WRITING,
  HYPERVISOR_GRANT_TABLE_OP,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_UPDATE_VA_MAPPING,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_UNPIN_TABLE,
} from "../../abi/xen.ts";
import { XenMachine } from "../../host-ts/xen/xen-machine.ts";
import { framesInUse } from "../drivers/frame-pool.ts";
import { DATA, HostDomain } from "../unit/xen/host-domain.ts";

const PAGE = 0x1000;
const FIRST_REF = 20;
const REFS = 4;
/** Pages that are granted, given away and made page tables. */
const PAGES = [0x210, 0x211, 0x212, 0x213];
/** Linear addresses that mappings go to. */
const PLACES = [0x220, 0x221, 0x222, 0x223].map((page) => page * PAGE);
const IN_USE = GTF_READING | GTF_WRITING;

/** A mapping as the model knows it. */
interface Mapping {
  readonly ref: number;
  readonly mfn: number;
  readonly isRead: boolean;
  isHost: boolean;
  isDevice: boolean;
  readonly bus: number;
}

/** One domain with what the model knows of it. */
class Player {
  readonly guest: HostDomain;
  readonly mappings = new Map<number, Mapping>();
  isDead = false;

  constructor(machine: XenMachine) {
    this.guest = new HostDomain({ machine });
  }

  get domid(): number {
    return this.guest.domain.domid;
  }

  one(op: number, statusAt: number, ...words: number[]): number {
    const { guest } = this;
    guest.write32(DATA, ...words);
    expect(guest.call(HYPERVISOR_GRANT_TABLE_OP, op, DATA, 1)).toBe(0);
    return ((guest.read32(DATA + (statusAt & ~3)) >>> (8 * (statusAt & 3))) << 16) >> 16;
  }

  entryGpa(lin: number): number {
    const { memory } = this.guest.host;
    const top = memory.readU32(this.guest.vcpu.u32(VCPU_CR3) & ~0xfff) & ~0xfff;
    const table = memory.readU32(top + 8 * (lin >>> 21)) & ~0xfff;
    return (table >>> 0) + 8 * ((lin >>> 12) & 511);
  }

  /** Address of an entry of the grant table, in either version. */
  grantGpa(ref: number): number {
    const { grants, map } = this.guest.domain;
    return map.grantMfn * PAGE + ref * (grants.version === 1 ? 8 : 16);
  }

  setGrant(ref: number, flags: number, domid: number, mfn: number): void {
    const { memory } = this.guest.host;
    const at = this.grantGpa(ref);
    const used = this.guest.domain.grants.version === 1 ? memory.readU16(at) & IN_USE : 0;
    memory.writeU32(at + (this.guest.domain.grants.version === 1 ? 4 : 8), mfn);
    memory.writeU32(at, flags | used | (domid << 16));
  }

  marks(ref: number): number {
    const { host, domain } = this.guest;
    if (domain.grants.version === 1) return host.memory.readU16(this.grantGpa(ref)) & IN_USE;
    return host.memory.readU16(domain.map.statusMfn * PAGE + 2 * ref);
  }
}

interface Table {
  readonly players: readonly [Player, Player];
}
type Step = (table: Table) => void;
const player = fc.constantFrom(0, 1);
const ref = fc.integer({ min: FIRST_REF, max: FIRST_REF + REFS - 1 });
const page = fc.constantFrom(...PAGES);
const place = fc.constantFrom(...PLACES);

/** What a player does while both live. */
function act(who: number, action: (self: Player, other: Player) => void): Step {
  return ({ players }) => {
    const [self, other] = [players[who]!, players[1 - who]!];
    if (!self.isDead) action(self, other);
  };
}

const grantSomething = fc
  .tuple(player, ref, page, fc.constantFrom(0, GTF_READONLY), fc.boolean(), fc.boolean())
  .map(
    ([who, at, which, rights, isTaken, isTransfer]): Step =>
      act(who, (self, other) => {
        const type = isTransfer && isTaken ? GTF_ACCEPT_TRANSFER : GTF_PERMIT_ACCESS | rights;
        self.setGrant(at, isTaken ? type : 0, other.domid, self.guest.mfnOf(which));
      }),
  );

const mapSomething = fc
  .tuple(player, ref, place, fc.integer({ min: 0, max: 15 }), fc.boolean())
  .map(
    ([who, at, lin, bits, isByEntry]): Step =>
      act(who, (self, other) => {
        const flags = (bits & 7) | (isByEntry ? GNTMAP_CONTAINS_PTE : 0);
        const address = isByEntry ? self.entryGpa(lin) : lin;
        const words = [address, 0, flags, at, other.domid, 0, 0, 0];
        const pinned = [...self.mappings.values()].find((mapping) => mapping.ref === at);
        const status = self.one(GNTTABOP_MAP_GRANT_REF, 0x12, ...words);
        if (status !== GNTST_OKAY) return;
        expect(other.isDead).toBe(false);
        const handle = self.guest.read32(DATA + 0x14);
        expect(self.mappings.has(handle)).toBe(false);
        const mfn = other.guest.host.memory.readU32(
          other.grantGpa(at) + (other.guest.domain.grants.version === 1 ? 4 : 8),
        );
        self.mappings.set(handle, {
          ref: at,
          // An entry that is in use stands for the page that it stood for then.
          mfn: pinned?.mfn ?? mfn,
          isRead: (flags & GNTMAP_READONLY) !== 0,
          isHost: (flags & GNTMAP_HOST_MAP) !== 0,
          isDevice: (flags & GNTMAP_DEVICE_MAP) !== 0,
          bus: self.guest.read32(DATA + 0x18),
        });
      }),
  );

const unmapSomething = fc
  .tuple(player, fc.nat({ max: 6 }), place, fc.integer({ min: 0, max: 3 }), fc.boolean())
  .map(
    ([who, handle, lin, what, isByEntry]): Step =>
      act(who, (self) => {
        const mapping = self.mappings.get(handle);
        const address = (what & 1) === 0 ? 0 : isByEntry ? self.entryGpa(lin) : lin;
        const bus = (what & 2) === 0 ? 0 : (mapping?.bus ?? PAGE);
        const words = [address, 0, bus, 0, handle, 0];
        const status = self.one(GNTTABOP_UNMAP_GRANT_REF, 0x14, ...words);
        unmapped(self, handle, status, address !== 0, bus !== 0);
      }),
  );

function unmapped(
  self: Player,
  handle: number,
  status: number,
  isHost: boolean,
  isDevice: boolean,
): void {
  const mapping = self.mappings.get(handle);
  if (mapping === undefined) expect(status).toBeLessThan(0);
  if (mapping === undefined || status !== GNTST_OKAY) return;
  if (isHost) mapping.isHost = false;
  if (isDevice) mapping.isDevice = false;
  if (!mapping.isHost && !mapping.isDevice) self.mappings.delete(handle);
}

const replaceSomething = fc.tuple(player, fc.nat({ max: 6 }), place, place).map(
  ([who, handle, lin, newLin]): Step =>
    act(who, (self) => {
      const words = [lin, 0, newLin, 0, handle, 0];
      const status = self.one(GNTTABOP_UNMAP_AND_REPLACE, 0x14, ...words);
      unmapped(self, handle, status, true, false);
    }),
);

const copySomething = fc
  .tuple(player, ref, page, fc.boolean(), fc.nat({ max: PAGE }), fc.nat({ max: 64 }))
  .map(
    ([who, at, which, isOut, offset, length]): Step =>
      act(who, (self, other) => {
        const granted = [at, other.domid | (offset << 16)];
        const own = [self.guest.mfnOf(which), DOMID_SELF | (offset << 16)];
        const flags = isOut ? GNTCOPY_DEST_GREF : GNTCOPY_SOURCE_GREF;
        const ends = isOut ? [...own, ...granted] : [...granted, ...own];
        self.one(GNTTABOP_COPY, 0x14, ...ends, length | (flags << 16), 0);
      }),
  );

/** The kernel's own doings with its pages: mapping them so or so, or not, and making page tables of them. */
const tableWork = fc
  .tuple(player, page, place, fc.constantFrom(0, 0x61, 0x63), fc.nat({ max: 4 }))
  .map(
    ([who, which, lin, flags, what]): Step =>
      act(who, ({ guest }) => {
        const mfn = guest.mfnOf(which);
        const entry = flags === 0 ? 0 : mfn * PAGE + flags;
        const pin = (command: number) => {
          guest.write32(DATA, command, mfn, 0);
          guest.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF);
        };
        if (what === 0) pin(MMUEXT_PIN_L1_TABLE);
        else if (what === 1) pin(MMUEXT_UNPIN_TABLE);
        else guest.call(HYPERVISOR_UPDATE_VA_MAPPING, what === 2 ? lin : which * PAGE, entry, 0, 2);
      }),
  );

const balloon = fc.tuple(player, page, fc.boolean()).map(
  ([who, which, isBack]): Step =>
    act(who, ({ guest }) => {
      if (isBack) guest.domain.reservation.take(1, 2 ** 32);
      else guest.domain.reservation.giveBack(guest.mfnOf(which));
    }),
);

const others = fc.tuple(player, ref, ref, page, fc.nat({ max: 2 })).map(
  ([who, a, b, which, what]): Step =>
    act(who, (self, other) => {
      if (what === 0) self.one(GNTTABOP_SWAP_GRANT_REF, 8, a, b, 0);
      else if (what === 1) {
        self.guest.write32(DATA, 1 + (a & 1));
        self.guest.call(HYPERVISOR_GRANT_TABLE_OP, GNTTABOP_SET_VERSION, DATA, 1);
      } else self.one(GNTTABOP_TRANSFER, 0xc, self.guest.mfnOf(which), other.domid, a, 0);
    }),
);

const death = player.map(
  (who): Step =>
    act(who, (self) => {
      self.guest.destroy();
      self.isDead = true;
      self.mappings.clear();
    }),
);

const step = fc.oneof(
  { weight: 6, arbitrary: grantSomething },
  { weight: 8, arbitrary: mapSomething },
  { weight: 8, arbitrary: unmapSomething },
  { weight: 2, arbitrary: replaceSomething },
  { weight: 3, arbitrary: copySomething },
  { weight: 4, arbitrary: tableWork },
  { weight: 2, arbitrary: balloon },
  { weight: 3, arbitrary: others },
);

/** The memory that a domain's frame is. */
function frameOf({ guest: { core, host } }: Player, mfn: number): number {
  return core.exports.frameForRead(host.guest, mfn);
}

/** The marks in the granter's table are what the other one's mappings say; uses that the granter counts are theirs. */
function audit({ players }: Table): void {
  for (const [index, granter] of players.entries()) {
    if (granter.isDead) continue;
    const user = players[1 - index]!;
    let uses = 0;
    for (let at = FIRST_REF; at < FIRST_REF + REFS; at++) {
      const mine = [...user.mappings.values()].filter((mapping) => mapping.ref === at);
      const isWritten = mine.some(({ isRead }) => !isRead);
      const wanted = (mine.length > 0 ? GTF_READING : 0) | (isWritten ? GTF_WRITING : 0);
      expect([index, at, granter.marks(at)]).toEqual([index, at, wanted]);
      for (const { isHost, isDevice, bus, mfn } of mine) {
        uses += +isHost + +isDevice;
        expect(frameOf(user, bus / PAGE)).toBe(frameOf(granter, mfn));
      }
    }
    expect(granter.guest.domain.grants.uses).toBe(uses);
    expect(user.guest.domain.grantMaps.size).toBe(user.mappings.size);
  }
}

test("marks and counts are what the mappings say, and nothing is left of two domains that die", () => {
  // What the harness itself takes once is taken before the count.
  new HostDomain().destroy();
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      death,
      fc.array(step, { maxLength: 10 }),
      (before, end, after) => {
        const machine = new XenMachine(true);
        let inUse = 0;
        const players = [new Player(machine), new Player(machine)] as const;
        const table = { players };
        try {
          for (const each of before) {
            each(table);
            audit(table);
          }
          end(table);
          const survivor = players.find(({ isDead }) => !isDead)!;
          for (const each of after) each(table);
          // Nobody else holds anything of the survivor's now.
          expect(survivor.guest.domain.grants.uses).toBe(0);
          survivor.guest.domain.grantMaps.releaseAll();
          expect(survivor.guest.relinquish()).toBe(0);
        } finally {
          for (const each of players) if (!each.isDead) each.guest.destroy();
          inUse = framesInUse(players[0].guest.core);
        }
        frames ??= inUse;
        expect(inUse).toBe(frames);
      },
    ),
    { numRuns: Number(process.env["WASMVISOR_XEN_RUNS"] ?? 60) },
  );
}, 600_000);
/** In use when no domain lives. */
let frames: number | undefined;
