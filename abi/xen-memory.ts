/**
 * Machine memory of a Xen domain as this project lays it out, and the page-information words that core and Host share. A guest's frame table is
 * indexed by machine frame number (mfn), so page tables need no translation. Plain constants, valid as AssemblyScript and as TypeScript.
 */

/** First mfn of a domain's RAM: below it nothing is, so that a pseudo-physical and a machine frame number never agree by accident. */
export const XEN_RAM_MFN = 0x100;
/**
 * Frames behind the RAM that are nobody's, as a machine has them: a domain that exchanges frames for neighbouring ones finds some there. There is
 * always one extent of the largest order among them.
 */
export const XEN_SPARE_FRAMES = 0x400;
/** Frames of the grant table and of its status pages. */
export const XEN_GRANT_FRAMES = 64;
export const XEN_STATUS_FRAMES = 16;
/** Frames for pages of other domains that a guest maps by grant. */
export const XEN_FOREIGN_FRAMES = 2048;
/** L1 tables through which every guest reads the machine-to-physical table: 16 MiB of it. */
export const XEN_M2P_TABLES = 8;

/** Type word of a page: what it is used as, PAGE_* flags, and how often. */
export const PGT_SHIFT = 28;
export const PGT_NONE = 0;
/** Mapped writable somewhere. */
export const PGT_WRITABLE = 1;
export const PGT_L1 = 2;
export const PGT_L2 = 3;
export const PGT_L3 = 4;
/** Holds descriptors that were checked. */
export const PGT_SEG_DESC = 5;
/** A guest keeps the page as a page table although nothing refers to it. */
export const PAGE_PINNED = 0x08000000;
/** All entries of the page table or descriptors were checked and hold their references. */
export const PAGE_VALIDATED = 0x04000000;
/** An L2 table with Xen's own entries: it may stand in the last slot of an L3 table, and nowhere else. */
export const PAGE_XEN_L2 = 0x02000000;
/** RAM of the domain. */
export const PAGE_OWNED = 0x01000000;
/** Xen's own, and the guest may map it writable: struct shared_info, grant frames. */
export const PAGE_SHARED = 0x00800000;
/** Another domain's page in the window for grants. */
export const PAGE_FOREIGN = 0x00400000;
/** Readable by the guest, whoever maps it: never writable. */
export const PAGE_READ_ONLY = 0x00200000;
/** Bits that say whose the page is; they outlive every type. */
export const PAGE_OWNER_MASK = 0x01e00000;
/** An L2 table that another one has an entry for, or had since it became one: it may have no such entries itself, so that there are no rings of tables. */
export const PAGE_LINEAR = 0x00100000;
/** Type references. */
export const PAGE_COUNT_MASK = 0x000fffff;
