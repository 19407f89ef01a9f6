/**
 * Names of a Xen guest's disks and partitions, and the numbers that stand for them in xenstore.
 * Source: Xen's docs/man/xen-vbd-interface.7.
 */

/** Major number of Xen's own disks, with 16 minors each, and the form of the numbers past that. */
const XVD_MAJOR = 202;
const XVD_MINORS = 16;
const EXTENDED = 1 << 28;
const EXTENDED_MINORS = 256;
const EXTENDED_DISKS = 1 << 20;
/** IDE disks, two for each of these majors with 64 minors each; SCSI disks. */
const IDE_MAJORS = [3, 22];
const IDE_MINORS = 64;
const SCSI_MAJOR = 8;
const SCSI_MINORS = 16;

/** Number of a disk or partition by its name, such as "xvda", "xvdb1", "hda", "sda2" or "d0p1"; undefined for none. */
export function virtualDevice(name: string): number | undefined {
  const [, prefix, letters = "", partitionText = ""] =
    /^(xvd|hd|sd)([a-z]{1,4})([1-9]\d{0,2})?$/.exec(name) ?? [];
  const numbers = /^d(\d{1,7})(?:p(\d{1,3}))?$/.exec(name);
  const disk = numbers === null ? indexOf(letters) : Number(numbers[1]);
  const partition = Number((numbers === null ? partitionText : numbers[2]) || 0);
  if (prefix === "hd") {
    const major = IDE_MAJORS[Math.floor(disk / 2)];
    if (major === undefined || partition >= IDE_MINORS) return undefined;
    return (major << 8) | ((disk % 2) * IDE_MINORS) | partition;
  }
  if (prefix === "sd") {
    if (disk >= 16 || partition >= SCSI_MINORS) return undefined;
    return (SCSI_MAJOR << 8) | (disk * SCSI_MINORS) | partition;
  }
  if (prefix === undefined && numbers === null) return undefined;
  if (disk < XVD_MINORS && partition < XVD_MINORS) {
    return (XVD_MAJOR << 8) | (disk * XVD_MINORS) | partition;
  }
  if (disk >= EXTENDED_DISKS || partition >= EXTENDED_MINORS) return undefined;
  return EXTENDED | (disk * EXTENDED_MINORS) | partition;
}

/** Name of the index-th disk where nobody named it: xvda, xvdb, ... xvdz, xvdaa. */
export function diskName(index: number): string {
  let letters = "";
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(0x61 + (rest % 26)) + letters;
  }
  return `xvd${letters}`;
}

/** The inverse of diskName's letters. */
function indexOf(letters: string): number {
  let index = 0;
  for (const letter of letters) index = index * 26 + letter.charCodeAt(0) - 0x60;
  return index - 1;
}
