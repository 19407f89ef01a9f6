/**
 * What Xen's services agree on with a guest besides the layouts in xen-layout.ts: flags and limits of the xenstore page, of block and of
 * network devices. Plain constants, valid as AssemblyScript and as TypeScript. Source: Xen's public headers io/xs_wire.h, io/blkif.h,
 * io/netif.h, and docs/misc/xenstore.txt and xenstore-ring.txt.
 */

// ---------------------------------------------------------------------------------------------------------------
// xenstore
// ---------------------------------------------------------------------------------------------------------------

/** Bits of the page's server_features: a guest may reconnect, and reads why the connection broke. */
export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1;
export const XENSTORE_SERVER_FEATURE_ERROR = 2;
/** Values of the page's connection word. */
export const XENSTORE_CONNECTED = 0;
export const XENSTORE_RECONNECT = 1;
/** Values of the page's error word. */
export const XENSTORE_ERROR_NONE = 0;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;

/**
 * What an unprivileged domain may have: nodes, watches and open transactions before it asks for one more, bytes of one node below which it
 * must stay, permission entries of one node.
 */
export const XENSTORE_NODES_MAX = 1000;
export const XENSTORE_WATCHES_MAX = 128;
export const XENSTORE_TRANSACTIONS_MAX = 10;
export const XENSTORE_NODE_BYTES_MAX = 2048;
export const XENSTORE_PERMISSIONS_MAX = 5;
/** What a node takes besides its value and the names of those below it: once, and for each permission entry. */
export const XENSTORE_NODE_HEADER_BYTES = 24;
export const XENSTORE_PERMISSION_BYTES = 8;
/** Nodes that one transaction may touch. */
export const XENSTORE_TRANSACTION_NODES_MAX = 1024;

// ---------------------------------------------------------------------------------------------------------------
// Block
// ---------------------------------------------------------------------------------------------------------------

/** Unit of sector numbers and of segments, whatever the medium's own sectors are. */
export const BLKIF_SECTOR_BYTES = 512;
export const BLKIF_SECTORS_PER_PAGE = 8;
/** Length of a response. */
export const BLKIF_RSP_BYTES = 12;
/** Length of a request's identifier. */
export const BLKIF_ID_BYTES = 8;
/** Where a discard request has its flags, and the flag that asks for an erasure. */
export const BLKIF_DISCARD_FLAG = 1;
export const BLKIF_DISCARD_SECURE = 1;
/** Segments that one page of an indirect request holds, and pages that one request may name. */
export const BLKIF_SEGMENTS_PER_INDIRECT_PAGE = 512;
/** Bits of the backend's key "info". */
export const VDISK_CDROM = 1;
export const VDISK_REMOVABLE = 2;
export const VDISK_READONLY = 4;

// ---------------------------------------------------------------------------------------------------------------
// Network
// ---------------------------------------------------------------------------------------------------------------

/** Slots that every backend takes for one frame. */
export const NETIF_NR_SLOTS_MIN = 18;
/** Length of a transmit response in use; the slot is as long as a request. */
export const NETIF_TX_RSP_BYTES = 4;
/** Status of the slots of a request that carried extra information. */
export const NETIF_RSP_NULL = 1;
/** A slot of extra information: its kind, and flags of which bit 0 announces another. */
export const NETIF_EXTRA_TYPE = 0;
export const NETIF_EXTRA_FLAGS = 1;
export const NETIF_EXTRA_FLAG_MORE = 1;
export const NETIF_EXTRA_TYPE_MCAST_ADD = 2;
export const NETIF_EXTRA_TYPE_MCAST_DEL = 3;
export const NETIF_EXTRA_TYPE_HASH = 4;
/** Where extra information about a multicast group has its address of six bytes. */
export const NETIF_EXTRA_MCAST_ADDRESS = 2;
/** Groups that a front end may ask for. */
export const NETIF_MCAST_MAX = 64;
