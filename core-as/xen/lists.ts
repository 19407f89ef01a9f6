/**
 * mmu_update and mmuext_op as lists of requests: how many were done, where one failed, and what is left when it takes too long.
 * Source: Xen's public xen.h, "HYPERVISOR_mmu_update" and "HYPERVISOR_mmuext_op".
 */
import { DOMID_SELF, MMU_UPDATE_PREEMPTED, XEN_EFAULT } from "../../abi/xen.ts";
import { MMU_UPDATE_BYTES, MMUEXT_OP_BYTES } from "../../abi/xen-layout.ts";
import { COST_ENTRY, charge, isSpent } from "./cost.ts";
import { canRead, readGuest, writeGuest } from "./guest-access.ts";
import { updateOne } from "./mmu-update.ts";
import { extendedOperation } from "./mmuext.ts";
import { arg, CALL_AGAIN, CALL_FOR_HOST, done, setArg } from "./outcome.ts";
import { runRequests } from "./runs.ts";

/**
 * Performs the list of VCPU_XEN_ARGS: pointer, count, pointer to the number done (or 0), domain.
 * @param isUpdate requests are struct mmu_update, else struct mmuext_op @returns CALL_DONE or CALL_AGAIN; CALL_FOR_HOST when frames of
 * another domain are meant, of which the Host knows whether there is one.
 */
export function performList(v: usize, isUpdate: bool): u32 {
  const bytes: u32 = isUpdate ? MMU_UPDATE_BYTES : MMUEXT_OP_BYTES;
  const before: u32 = MMU_UPDATE_PREEMPTED;
  const doneLin = arg(v, 2);
  let lin = arg(v, 0);
  let left = arg(v, 1);
  let finished: u32 = 0;
  // A call that has nothing more to do but to say how it ended has that in place of the domain.
  if (left == before && lin == 0) return done(v, arg(v, 3));
  if ((left & before) != 0) {
    left &= ~before;
    if (doneLin != 0 && canRead(v, doneLin, 4)) finished = readGuest<u32>(v, doneLin);
  }
  if (arg(v, 3) != <u32>DOMID_SELF) return CALL_FOR_HOST;
  let error: i32 = 0;
  let first = true;
  while (left != 0) {
    if (!first && isSpent(v)) break;
    first = false;
    if (isUpdate) {
      const plain = runRequests(v, lin, left);
      if (plain != 0) {
        lin += plain * bytes;
        left -= plain;
        finished += plain;
        continue;
      }
    }
    charge(v, COST_ENTRY);
    error = canRead(v, lin, bytes)
      ? isUpdate
        ? updateOne(v, lin)
        : extendedOperation(v, lin)
      : -XEN_EFAULT;
    if (error != 0) break;
    lin += bytes;
    left--;
    finished++;
  }
  // Who gives a place that cannot be written is not told.
  if (doneLin != 0) writeGuest<u32>(v, doneLin, finished);
  if (error != 0 || left == 0) return done(v, error);
  setArg(v, 0, lin);
  setArg(v, 1, left | before);
  return CALL_AGAIN;
}
