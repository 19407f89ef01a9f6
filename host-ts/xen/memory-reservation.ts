/**
 * The sub-operations of memory_op that give frames back and get others: done extent by extent, some at a time; a call with more to do is made
 * again with what is left. Source: Xen's public memory.h.
 */
import { PAGE_BITS } from "../../abi/memory.ts";
import {
  MEMOP_EXTENT_SHIFT,
  XEN_E2BIG,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOMEM,
  XEN_EPERM,
  XENMEM_DECREASE_RESERVATION,
  XENMEM_EXCHANGE,
  XENMEM_INCREASE_RESERVATION,
  XENMEM_POPULATE_PHYSMAP,
  XENMEMF_ADDRESS_BITS_MASK,
  XENMEMF_EXACT_NODE_REQUEST,
  XENMEMF_NODE_MASK,
  XENMEMF_POPULATE_ON_DEMAND,
  XENMEMF_VNODE,
} from "../../abi/xen.ts";
import {
  XENMEM_EXCHANGE_BYTES,
  XENMEM_EXCHANGE_DONE,
  XENMEM_EXCHANGE_IN,
  XENMEM_EXCHANGE_OUT,
  XENMEM_RESERVATION_BYTES,
  XENMEM_RESERVATION_DOMID,
  XENMEM_RESERVATION_EXTENTS,
  XENMEM_RESERVATION_FLAGS,
  XENMEM_RESERVATION_NR,
  XENMEM_RESERVATION_ORDER,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** log2 of the largest extent that a domain without hardware may ask for. */
const MAX_ORDER = 9;
/** More extents have no place beside the sub-command when the call is made again. */
const MAX_EXTENTS = 2 ** (32 - MEMOP_EXTENT_SHIFT) - 1;
/** Frames after which a call stops for a while. */
const FRAMES_AT_ONCE = 256;
/** log2 of the largest ratio of two orders that an exchange may have. */
const MAX_ORDER_DELTA = 9;

/** struct xen_memory_reservation. */
interface Request {
  readonly extents: number;
  readonly count: number;
  readonly order: number;
  readonly flags: number;
  readonly domid: number;
}

function requestAt(view: DataView, at: number): Request {
  return {
    extents: view.getUint32(at + XENMEM_RESERVATION_EXTENTS, true),
    count: view.getUint32(at + XENMEM_RESERVATION_NR, true),
    order: view.getUint32(at + XENMEM_RESERVATION_ORDER, true),
    flags: view.getUint32(at + XENMEM_RESERVATION_FLAGS, true),
    domid: view.getUint16(at + XENMEM_RESERVATION_DOMID, true),
  };
}

/** Whether a machine with one node has the node that is asked for. */
function isNodeGood(flags: number): boolean {
  const isVirtual = (flags & XENMEMF_VNODE) !== 0;
  const isExact = (flags & XENMEMF_EXACT_NODE_REQUEST) !== 0;
  return isVirtual || (flags & XENMEMF_NODE_MASK) === 0 || !isExact;
}

/** First frame that is too high for the address bits that are asked for; undefined when no frame has as few. */
function limitOf({ map }: XenDomain, flags: number): number | undefined {
  const bits = flags & XENMEMF_ADDRESS_BITS_MASK;
  const most = Math.ceil(Math.log2(map.limit)) + PAGE_BITS;
  if (bits === 0 || bits >= most) return map.limit;
  return bits <= PAGE_BITS ? undefined : 2 ** (bits - PAGE_BITS);
}

/** What changes one extent: its number is read from, or written to, `lin`, if that is not 0. */
interface Extent {
  readonly lin: number;
  readonly order: number;
  readonly limitMfn: number;
}
type Change = (domain: XenDomain, extent: Extent) => boolean;

const CHANGES: Readonly<Record<number, Change>> = {
  [XENMEM_DECREASE_RESERVATION]: ({ pointers, reservation }, { lin, order }) => {
    const first = pointers.readU32(lin);
    if (first === undefined) return false;
    for (let mfn = first; mfn < first + 2 ** order; mfn++) {
      if (!reservation.giveBack(mfn)) return false;
    }
    return true;
  },
  [XENMEM_INCREASE_RESERVATION]: ({ pointers, reservation }, { lin, order, limitMfn }) => {
    const first = reservation.take(2 ** order, limitMfn);
    if (first === undefined) return false;
    return lin === 0 || pointers.writeU32(lin, first);
  },
  [XENMEM_POPULATE_PHYSMAP]: ({ pointers, reservation }, { lin, order, limitMfn }) => {
    const pfn = pointers.readU32(lin);
    const first = pfn === undefined ? undefined : reservation.take(2 ** order, limitMfn);
    if (pfn === undefined || first === undefined) return false;
    for (let i = 0; i < 2 ** order; i++) reservation.setPfn(first + i, pfn + i);
    return pointers.writeU32(lin, first);
  },
};

/**
 * XENMEM_increase_reservation, _decrease_reservation, _populate_physmap.
 * @param done extents that an earlier part of the call did @returns how many are done in all, whatever stopped it.
 */
export function changeReservation(
  domain: XenDomain,
  command: number,
  pointer: number,
  done: number,
): number | undefined {
  const view = domain.pointers.read(pointer, XENMEM_RESERVATION_BYTES);
  if (view === undefined) return done;
  const { extents, count, order, flags, domid } = requestAt(view, 0);
  const limitMfn = limitOf(domain, flags);
  const isRefused = domain.refusal(domid) !== undefined || limitMfn === undefined;
  if (count > MAX_EXTENTS || isRefused || !isNodeGood(flags) || order > MAX_ORDER) return done;
  const isGuestList = extents === 0 || domain.pointers.isInside(extents, 4 * count);
  const isOnDemand =
    command === XENMEM_POPULATE_PHYSMAP && (flags & XENMEMF_POPULATE_ON_DEMAND) !== 0;
  if (!isGuestList || isOnDemand) return done;
  const change = CHANGES[command]!;
  const most = done + Math.max(1, FRAMES_AT_ONCE >> order);
  let now = done;
  while (now < count) {
    if (now === most) return domain.again(command | (now << MEMOP_EXTENT_SHIFT), pointer);
    const lin = extents === 0 ? 0 : extents + 4 * now;
    if (!change(domain, { lin, order, limitMfn })) break;
    now++;
  }
  return now;
}

/** XENMEM_exchange: frames for others that are neighbours, in pieces of which each is exchanged as a whole or not at all. */
export function exchange(domain: XenDomain, pointer: number): number | undefined {
  const view = domain.pointers.read(pointer, XENMEM_EXCHANGE_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const given = requestAt(view, XENMEM_EXCHANGE_IN);
  const wanted = requestAt(view, XENMEM_EXCHANGE_OUT);
  const done = view.getUint32(XENMEM_EXCHANGE_DONE, true);
  const error = checkExchange(domain, given, wanted, done);
  if (error !== 0 || done === given.count) return error;
  const limitMfn = limitOf(domain, wanted.flags) ?? 0;
  const order = Math.max(given.order, wanted.order);
  const perPiece = 2 ** (order - given.order);
  const most = done + perPiece * Math.max(1, FRAMES_AT_ONCE >> order);
  let now = done;
  let result = 0;
  while (result === 0 && now < given.count && now < most) {
    result = exchangePiece(domain, given, wanted, now, limitMfn);
    if (result === 0) now += perPiece;
  }
  if (!domain.pointers.writeU32(pointer + XENMEM_EXCHANGE_DONE, now)) return -XEN_EFAULT;
  return result === 0 && now < given.count ? domain.again(XENMEM_EXCHANGE, pointer) : result;
}

function checkExchange(domain: XenDomain, given: Request, wanted: Request, done: number): number {
  const { pointers } = domain;
  const delta = wanted.order - given.order;
  const pages = given.count * 2 ** given.order;
  const isOdd = delta > 0 && done % 2 ** delta !== 0;
  if (done > given.count || isOdd || pages >= 2 ** 32) return -XEN_EINVAL;
  if (pages !== wanted.count * 2 ** wanted.order) return -XEN_EINVAL;
  const isInside =
    pointers.isInside(given.extents, 4 * given.count) &&
    pointers.isInside(wanted.extents, 4 * wanted.count);
  if (!isInside) return -XEN_EFAULT;
  if (Math.abs(delta) > MAX_ORDER_DELTA) return -XEN_E2BIG;
  if (given.order > MAX_ORDER || wanted.order > MAX_ORDER) return -XEN_EPERM;
  if (given.domid !== wanted.domid || !isNodeGood(wanted.flags)) return -XEN_EINVAL;
  return domain.refusal(given.domid) ?? 0;
}

/** @param at extents given before this piece @returns 0, or a negative errno with nothing changed but where the list cannot be written. */
function exchangePiece(
  { pointers, reservation }: XenDomain,
  given: Request,
  wanted: Request,
  at: number,
  limitMfn: number,
): number {
  const pages = 2 ** Math.max(given.order, wanted.order);
  const frames: number[] = [];
  for (let i = at; frames.length < pages; i++) {
    const first = pointers.readU32(given.extents + 4 * i);
    if (first === undefined) return -XEN_EFAULT;
    for (let mfn = first; mfn < first + 2 ** given.order; mfn++) frames.push(mfn);
  }
  const isOurs = frames.every((mfn) => reservation.isFree(mfn));
  if (!isOurs || new Set(frames).size !== pages) return -XEN_EINVAL;
  const firsts: number[] = [];
  while (firsts.length * 2 ** wanted.order < pages) {
    const first = reservation.exchange(2 ** wanted.order, limitMfn);
    if (first === undefined) {
      for (const each of firsts) giveBackExtent(reservation, each, wanted.order);
      return -XEN_ENOMEM;
    }
    firsts.push(first);
  }
  for (const mfn of frames) reservation.giveBack(mfn);
  const outputs = wanted.extents + 4 * ((at * 2 ** given.order) / 2 ** wanted.order);
  let result = 0;
  for (const [i, first] of firsts.entries()) {
    const lin = outputs + 4 * i;
    const pfn = pointers.readU32(lin);
    if (pfn !== undefined) {
      for (let page = 0; page < 2 ** wanted.order; page++) {
        reservation.setPfn(first + page, pfn + page);
      }
    }
    if (pfn === undefined || !pointers.writeU32(lin, first)) result = -XEN_EFAULT;
  }
  return result;
}

function giveBackExtent(reservation: XenDomain["reservation"], first: number, order: number): void {
  for (let mfn = first; mfn < first + 2 ** order; mfn++) reservation.giveBack(mfn);
}
